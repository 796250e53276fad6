//! User and group names become numbers.
//!
//! Called by the supervisor before it spawns. Only root can change identity; for anybody else the
//! setting must name the user that runs already, or be refused: it is never ignored.

use std::fs;

/// What a child process runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id; a change of user also drops all supplementary groups.
    pub gid: u32,
}

/// The identity that `user` and `group` (names or numbers) ask for; `None` = stay as we are.
pub fn resolve(user: Option<&str>, group: Option<&str>) -> Result<Option<Identity>, String> {
    if user.is_none() && group.is_none() {
        return Ok(None);
    }
    let me = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let wanted = look_up(user, group, me, &passwd, &groups)?;
    if (wanted.uid, wanted.gid) == me {
        return Ok(None);
    }
    if me.0 != 0 {
        let name = user.or(group).unwrap_or_default();
        return Err(format!(
            "only root can run a process as `{name}`; start quaich as root"
        ));
    }
    Ok(Some(wanted))
}

fn look_up(
    user: Option<&str>,
    group: Option<&str>,
    (own_uid, own_gid): (u32, u32),
    passwd: &str,
    groups: &str,
) -> Result<Identity, String> {
    let (uid, login_gid) = match user {
        None => (own_uid, own_gid),
        Some(user) => user_ids(user, passwd).ok_or_else(|| format!("there is no user `{user}`"))?,
    };
    let gid = match group {
        None => login_gid,
        Some(group) => group
            .parse()
            .ok()
            .or_else(|| line_of(groups, group)?.nth(1)?.parse().ok())
            .ok_or_else(|| format!("there is no group `{group}`"))?,
    };
    Ok(Identity { uid, gid })
}

fn user_ids(user: &str, passwd: &str) -> Option<(u32, u32)> {
    if let Ok(uid) = user.parse::<u32>() {
        let by_number = passwd.lines().find_map(|line| {
            let mut fields = line.split(':').skip(2);
            (fields.next()? == user).then(|| fields.next()?.parse().ok())?
        });
        return Some((uid, by_number.unwrap_or(uid)));
    }
    let mut fields = line_of(passwd, user)?.skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The fields after the name on the line of `name`.
fn line_of<'a>(text: &'a str, name: &str) -> Option<impl Iterator<Item = &'a str>> {
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    Some(line.split(':').skip(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:34:www:/var/www:/bin/no\n";
    const GROUPS: &str = "root:x:0:\nadm:x:4:syslog\n";

    fn ids(user: Option<&str>, group: Option<&str>) -> Result<(u32, u32), String> {
        look_up(user, group, (7, 8), PASSWD, GROUPS).map(|found| (found.uid, found.gid))
    }

    #[test]
    fn names_and_numbers_become_ids() {
        assert_eq!(ids(Some("www-data"), None), Ok((33, 34)));
        assert_eq!(ids(Some("33"), None), Ok((33, 34)));
        assert_eq!(ids(Some("4242"), None), Ok((4242, 4242)));
        assert_eq!(ids(Some("www-data"), Some("adm")), Ok((33, 4)));
        assert_eq!(ids(None, Some("adm")), Ok((7, 4)));
    }

    #[test]
    fn unknown_names_are_named() {
        assert_eq!(
            ids(Some("nobdy"), None),
            Err("there is no user `nobdy`".into())
        );
        assert_eq!(ids(None, Some("x")), Err("there is no group `x`".into()));
    }
}
