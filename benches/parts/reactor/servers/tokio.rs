//! With tokio, one thread: a task for each connection, with a buffer of its own, as in its tutorial.
//!
//! For the fan-out each connection has a second task that writes; the queue between the two is a
//! plain vector with a [`Notify`], in a `LocalSet`, so that nothing is locked.

use super::{BACKLOG, MESSAGE_BYTES, Service, announce};
use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use ::tokio::net::{TcpListener, TcpSocket, TcpStream};
use ::tokio::sync::Notify;
use ::tokio::task::{LocalSet, spawn_local};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

const BUFFER_BYTES: usize = 4 * 1024;

pub(super) fn serve(service: Service) -> io::Result<()> {
    let runtime = ::tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    match service {
        Service::Echo => runtime.block_on(serve_echo()),
        Service::FanOut => LocalSet::new().block_on(&runtime, serve_fan_out()),
    }
}

async fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(BACKLOG)?;
    announce(listener.local_addr()?)?;
    Ok(listener)
}

async fn serve_echo() -> io::Result<()> {
    let listener = listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        ::tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            len => stream.write_all(&buffer[..len]).await?,
        }
    }
}

#[derive(Default)]
struct Member {
    out: RefCell<Vec<u8>>,
    more: Notify,
    is_gone: Cell<bool>,
}

type Members = Rc<RefCell<Vec<Rc<Member>>>>;

async fn serve_fan_out() -> io::Result<()> {
    let listener = listen().await?;
    let members = Members::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let member = Rc::new(Member::default());
        members.borrow_mut().push(Rc::clone(&member));
        let (reader, writer) = stream.into_split();
        spawn_local(write(writer, Rc::clone(&member)));
        spawn_local(read(reader, member, Rc::clone(&members)));
    }
}

async fn read(mut stream: OwnedReadHalf, me: Rc<Member>, members: Members) {
    let mut input = Vec::with_capacity(BUFFER_BYTES);
    while let Ok(1..) = stream.read_buf(&mut input).await {
        let mut messages = input.chunks_exact(MESSAGE_BYTES);
        for message in &mut messages {
            for member in members.borrow().iter() {
                if Rc::ptr_eq(member, &me) {
                    continue;
                }
                let mut out = member.out.borrow_mut();
                if out.is_empty() {
                    member.more.notify_one();
                }
                out.extend_from_slice(message);
            }
        }
        let used = input.len() - messages.remainder().len();
        input.drain(..used);
    }
    me.is_gone.set(true);
    me.more.notify_one();
    members
        .borrow_mut()
        .retain(|member| !Rc::ptr_eq(member, &me));
}

async fn write(mut stream: OwnedWriteHalf, me: Rc<Member>) -> io::Result<()> {
    let mut writing = Vec::new();
    while !me.is_gone.get() {
        me.more.notified().await;
        std::mem::swap(&mut writing, &mut *me.out.borrow_mut());
        stream.write_all(&writing).await?;
        writing.clear();
    }
    Ok(())
}
