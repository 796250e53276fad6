//! Cookies of mounted apps: their Path gets the prefix, a Domain that is the app's own host goes.

use super::place::Place;

/// A `Set-Cookie` as the client must get it; `None` = as it is. Attributes that stay, their order and
/// the bytes between them are kept.
///
/// Without a Path browsers take the folder of the URL that they asked for, which is below the prefix.
/// A cookie whose name begins with `__Host-` must have `Path=/` (RFC 6265bis section 4.1.3.2), so that
/// stays.
pub(super) fn set_cookie(place: &Place<'_>, value: &[u8]) -> Option<Vec<u8>> {
    let mut attributes = value.split(|&byte| byte == b';');
    let pair = attributes.next()?;
    let bound = pair
        .trim_ascii_start()
        .get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"__Host-"));
    let mut changed = false;
    let mut out = Vec::new();
    let mut done = 0;
    let mut at = pair.len();
    for attribute in attributes {
        // `at` is where its semicolon is.
        let end = at + 1 + attribute.len();
        let equals = memchr::memchr(b'=', attribute);
        let (name, text) = attribute.split_at(equals.unwrap_or(attribute.len()));
        let (name, text) = (name.trim_ascii(), text.get(1..).unwrap_or_default());
        if name.eq_ignore_ascii_case(b"path") && !bound {
            let path = text.trim_ascii();
            let mapped = path.starts_with(b"/").then(|| place.path(path)).flatten();
            // `/tools/app/` would not hold for `/tools/app`, which is the app's too; without the slash
            // it holds for both, and not for `/tools/apps` (RFC 6265 section 5.1.4).
            let mapped = mapped.map(|mut mapped| {
                mapped.truncate(mapped.len() - usize::from(path == b"/"));
                mapped
            });
            if let Some(mapped) = mapped {
                let start = end - text.trim_ascii_start().len();
                out.extend_from_slice(value.get(done..start)?);
                out.extend_from_slice(&mapped);
                done = start + path.len();
                changed = true;
            }
        } else if name.eq_ignore_ascii_case(b"domain") && is_own(place, text.trim_ascii()) {
            out.extend_from_slice(value.get(done..at)?);
            done = end;
            changed = true;
        }
        at = end;
    }
    changed.then(|| [&out, value.get(done..).unwrap_or_default()].concat())
}

/// Whether the domain is the host by which the app calls itself, and not one under which clients know
/// it: browsers would refuse the cookie.
fn is_own(place: &Place<'_>, domain: &[u8]) -> bool {
    let domain = domain.strip_prefix(b".").unwrap_or(domain);
    let public = place.host();
    let of_public = public.len() >= domain.len()
        && public
            .get(public.len() - domain.len()..)
            .is_some_and(|end| end.eq_ignore_ascii_case(domain));
    !of_public && !domain.is_empty() && place.is_own_host(domain)
}
