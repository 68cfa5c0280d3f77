//! What may have been meant by a name that there is not.

/// The known name that is nearest to `name`: the same in another case, one with a slip of the finger,
/// or one that it begins or carries on. Names of one or two letters are near to everything, so only
/// the first counts for them.
///
/// A slip is a letter too many, missing, wrong, or swapped with its neighbour; one in a short name,
/// two in a longer one.
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let letters = name.chars().count();
    let slips_max = if letters < 5 { 1 } else { 2 };
    let long = |known: &&str| known.len() > 2 && letters > 2;
    let slips = |known: &str| strsim::osa_distance(known, name);
    let mut same = known.clone();
    same.find(|known| known.eq_ignore_ascii_case(name))
        .or_else(|| {
            let near = known.clone().filter(long);
            near.map(|known| (slips(known), known))
                .filter(|(slips, _)| *slips <= slips_max)
                .min_by_key(|(slips, _)| *slips)
                .map(|(_, known)| known)
        })
        .or_else(|| {
            let begun = |known: &&str| known.starts_with(name) || name.starts_with(*known);
            known.filter(long).find(begun)
        })
}
