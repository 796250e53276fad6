//! Reads announcements. Nothing in them is believed but their form.

use super::{HEAD, MAX_NAME, MAX_PACKET, MODIFIER};

/// Largest weight; more says nothing else.
const MAX_WEIGHT: u32 = 65_535;
/// Longest unix path that an acknowledgement can be sent to, and longest such address.
const MAX_NOTIFY: usize = 102;

/// What an instance wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// To get requests, from now on or still.
    Subscribe,
    /// No more.
    Unsubscribe,
}

/// How requests are to be spread over the instances of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `wrr`: in turn, by weight.
    RoundRobin,
    /// `lrc`, `wlrc`: fewest running requests.
    LeastBusy,
    /// `iphash`: by the address of the client.
    ClientIp,
}

/// One announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement<'p> {
    /// Join or leave.
    pub command: Command,
    /// Host that requests are for, as they name it; `host/dir` with mount points.
    pub key: &'p str,
    /// `ip:port`, or the path of a socket.
    pub address: &'p str,
    /// First and last byte of the heads of uwsgi requests.
    pub modifiers: (u8, u8),
    /// How many requests it works on at once; for people.
    pub cores: u64,
    /// For people.
    pub load: u64,
    /// At least 1.
    pub weight: u32,
    /// Used only while there is none of a lower level.
    pub backup: u32,
    /// It speaks HTTP; else uwsgi.
    pub http: bool,
    /// For the first one of a key.
    pub algorithm: Option<Algorithm>,
    /// Where an acknowledgement goes.
    pub notify: Option<&'p str>,
    /// It asks for files of certificates to be read.
    pub names_files: bool,
    /// Its clock, in seconds, one more for a command to leave.
    pub unix: Option<u64>,
    /// The signature, if there is one.
    pub signature: Option<Signature<'p>>,
}

/// A signature and what it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'p> {
    /// Everything between the head and the pair of the signature.
    pub signed: &'p [u8],
    /// The signature.
    pub sign: &'p [u8],
}

/// Why a packet is none; for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Reads one datagram.
///
/// # Errors
/// What is wrong with its form.
pub fn parse(packet: &[u8]) -> Result<Announcement<'_>, Malformed> {
    if packet.len() > MAX_PACKET {
        return Err(Malformed("it is longer than 4096 bytes"));
    }
    let Some((&[modifier, low, high, command], pairs)) = packet.split_first_chunk::<HEAD>() else {
        return Err(Malformed("it is shorter than its head"));
    };
    if modifier != MODIFIER {
        return Err(Malformed("it is no announcement (modifier1 is not 224)"));
    }
    if usize::from(u16::from_le_bytes([low, high])) != pairs.len() {
        return Err(Malformed("its length is not what its head says"));
    }
    let command = match command {
        0 => Command::Subscribe,
        1 => Command::Unsubscribe,
        _ => return Err(Malformed("its command (modifier2) is neither 0 nor 1")),
    };
    let mut reader = Reader {
        pairs,
        rest: pairs,
        found: empty(command),
        last: b"",
    };
    while !reader.rest.is_empty() {
        reader.pair()?;
    }
    let found = reader.found;
    if found.key.is_empty() || found.address.is_empty() {
        return Err(Malformed("it has no key or no address"));
    }
    Ok(found)
}

fn empty<'p>(command: Command) -> Announcement<'p> {
    Announcement {
        command,
        key: "",
        address: "",
        modifiers: (0, 0),
        cores: 0,
        load: 0,
        weight: 1,
        backup: 0,
        http: false,
        algorithm: None,
        notify: None,
        names_files: false,
        unix: None,
        signature: None,
    }
}

struct Reader<'p> {
    pairs: &'p [u8],
    rest: &'p [u8],
    found: Announcement<'p>,
    /// The key before this one.
    last: &'p [u8],
}

impl<'p> Reader<'p> {
    fn text(&mut self) -> Result<&'p [u8], Malformed> {
        let cut = Malformed("a pair is longer than the packet");
        let (length, rest) = self.rest.split_first_chunk::<2>().ok_or(cut)?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (text, rest) = rest.split_at_checked(length).ok_or(cut)?;
        self.rest = rest;
        Ok(text)
    }

    fn pair(&mut self) -> Result<(), Malformed> {
        let before = self.pairs.len() - self.rest.len();
        let key = self.text()?;
        let value = self.text()?;
        let found = &mut self.found;
        match key {
            b"key" => found.key = name(value)?,
            b"address" => found.address = name(value)?,
            b"modifier1" => found.modifiers.0 = number(value)?,
            b"modifier2" => found.modifiers.1 = number(value)?,
            b"cores" => found.cores = number(value)?,
            b"load" => found.load = number(value)?,
            b"weight" => found.weight = number::<u32>(value)?.clamp(1, MAX_WEIGHT),
            b"backup" => found.backup = number(value)?,
            b"proto" => found.http = value.first() == Some(&b'h'),
            b"algo" => found.algorithm = algorithm(value),
            b"notify" if !value.is_empty() => found.notify = Some(notify(value)?),
            b"sni_key" | b"sni_crt" | b"sni_ca" => found.names_files = true,
            b"unix" => found.unix = Some(number(value)?),
            b"sign" => {
                if self.last != b"unix" || !self.rest.is_empty() {
                    return Err(Malformed(
                        "its signature is not the last pair, after `unix`",
                    ));
                }
                found.signature = Some(Signature {
                    signed: self.pairs.get(..before).unwrap_or_default(),
                    sign: value,
                });
            }
            // Of other versions; nothing that quaich could do something with.
            _ => {}
        }
        self.last = key;
        Ok(())
    }
}

fn name(value: &[u8]) -> Result<&str, Malformed> {
    let wrong = Malformed("its key or address is not 1 to 255 printable characters");
    let printable = value.iter().all(u8::is_ascii_graphic);
    match str::from_utf8(value) {
        Ok(text) if printable && (1..=MAX_NAME).contains(&text.len()) => Ok(text),
        _ => Err(wrong),
    }
}

fn notify(value: &[u8]) -> Result<&str, Malformed> {
    match str::from_utf8(value) {
        Ok(text) if text.len() < MAX_NOTIFY && !text.contains('\0') => Ok(text),
        _ => Err(Malformed("its `notify` is no address")),
    }
}

/// ASCII digits; nothing at all is 0.
fn number<N: std::str::FromStr + Default>(value: &[u8]) -> Result<N, Malformed> {
    if value.is_empty() {
        return Ok(N::default());
    }
    let digits = value.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(value).ok().filter(|_| digits);
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or(Malformed("a number is none, or is too large"))
}

fn algorithm(value: &[u8]) -> Option<Algorithm> {
    match value {
        b"wrr" => Some(Algorithm::RoundRobin),
        b"lrc" | b"wlrc" => Some(Algorithm::LeastBusy),
        b"iphash" => Some(Algorithm::ClientIp),
        _ => None,
    }
}
