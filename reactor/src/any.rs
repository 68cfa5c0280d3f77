//! Handlers by their own type again, for calls from one to another.

use std::any::{Any, TypeId};

/// Any type without borrows: what every [`Handler`](crate::Handler) must be. Nobody implements it.
///
/// Not [`Any`] itself, which would demand the same of the shared state.
pub trait AsAny {
    #[doc(hidden)]
    fn as_any(&mut self) -> &mut dyn Any;

    #[doc(hidden)]
    fn own_type(&self) -> TypeId;
}

impl<T: 'static> AsAny for T {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn own_type(&self) -> TypeId {
        TypeId::of::<T>()
    }
}
