//! `request_headers`, `response_headers`: fields that are set, added, removed.
//!
//! A request is not changed itself: what its client has said of codings, caches and origins stays
//! true of the client. Apps and upstreams get the fields of `Exchange::outgoing`.

use std::cell::RefCell;

use quaich_config::model::{self, Answers, Edits};
use quaich_proto::h1::{Connection, is_hop_by_hop};
use quaich_proto::headers::{self, HeaderId};

use super::{Flow, Parts};
use crate::downstream::service::Scope;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::forwarded;
use crate::observe::counters::Counters;
use crate::route::glob;
use crate::route::template::Template;

/// Of one route.
pub(super) struct Headers {
    request: Vec<Group>,
    response: Vec<Group>,
    /// Where values with placeholders are made.
    text: RefCell<Vec<u8>>,
}

/// The edits of a site or of a route.
struct Group {
    remove: Vec<Name>,
    edits: Vec<Edit>,
    on: Answers,
}

/// What `remove` names, in lower case.
enum Name {
    Exact(Vec<u8>),
    Glob(Vec<u8>),
}

struct Edit {
    verb: Verb,
    name: Vec<u8>,
    value: Template,
}

#[derive(Clone, Copy)]
enum Verb {
    Set,
    Append,
    Add,
}

impl Headers {
    /// `None` when there is nothing to do.
    pub(super) fn new(settings: &model::Headers, _parts: &Parts<'_>) -> Option<Self> {
        let groups = |all: &[Edits]| all.iter().map(Group::new).collect::<Vec<_>>();
        let own = Self {
            request: groups(&settings.request),
            response: groups(&settings.response),
            text: RefCell::default(),
        };
        (!own.request.is_empty() || !own.response.is_empty()).then_some(own)
    }

    pub(super) async fn request(&self, scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        let exchange = &mut *scope.exchange;
        let asked = &exchange.request.headers;
        if !self.request.iter().any(|group| group.concerns(asked)) {
            return Ok(Flow::Pass);
        }
        let mut fields = std::mem::take(&mut exchange.edited);
        fields.clone_from(&exchange.request.headers);
        // What is added from here on is believed, and no client can have it dropped.
        let (trusted, identity) = (exchange.client.trusted, &exchange.identity);
        let listed = Connection::of(&exchange.request.headers);
        fields.retain(|id, name, value| {
            is_fixed(id)
                || (trusted || !forwarded::is_dropped(id, name, trusted))
                    && !listed.names(name)
                    && !identity.hides(id, value)
        });
        for group in &self.request {
            self.apply(group, &mut fields, exchange, &scope.thread.counters);
        }
        exchange.edited = fields;
        exchange.is_edited = true;
        Ok(Flow::Pass)
    }

    pub(super) fn response(&self, exchange: &mut Exchange, counters: &Counters) {
        let status = exchange.response.status;
        let mut fields = std::mem::take(&mut exchange.response.headers);
        for group in &self.response {
            let meant = match group.on {
                Answers::Any => true,
                Answers::Ok => status < 400,
                Answers::Error => status >= 400,
            };
            if meant {
                self.apply(group, &mut fields, exchange, counters);
            }
        }
        exchange.response.headers = fields;
    }

    fn apply(
        &self,
        group: &Group,
        fields: &mut headers::Headers,
        exchange: &Exchange,
        counters: &Counters,
    ) {
        if !group.remove.is_empty() {
            fields.retain(|id, name, _| is_fixed(id) || !group.removes(name));
        }
        for edit in &group.edits {
            if !self.edit(edit, fields, exchange) {
                counters.fields_refused.add();
            }
        }
    }

    /// `false` when what the placeholders stand for makes no value: the field stays as it was.
    fn edit(&self, edit: &Edit, fields: &mut headers::Headers, exchange: &Exchange) -> bool {
        let text = &mut *self.text.borrow_mut();
        text.clear();
        if let Verb::Append = edit.verb {
            // It becomes one field with all values.
            let same = fields
                .iter()
                .filter(|(_, name, _)| name.eq_ignore_ascii_case(&edit.name));
            for (_, _, before) in same {
                text.extend_from_slice(before);
                text.extend_from_slice(b", ");
            }
        }
        edit.value.write(text, exchange);
        let is_host = HeaderId::from_name(&edit.name) == HeaderId::Host;
        if is_host && !forwarded::is_host(text) {
            return false;
        }
        let done = match edit.verb {
            Verb::Set | Verb::Append => fields.set(&edit.name, text),
            Verb::Add => fields.push(&edit.name, text),
        };
        done.is_ok()
    }
}

impl Group {
    fn new(edits: &Edits) -> Self {
        let name = |name: &String| {
            let lower = name.to_ascii_lowercase().into_bytes();
            match lower.contains(&b'*') {
                true => Name::Glob(lower),
                false => Name::Exact(lower),
            }
        };
        let all = [
            (Verb::Set, &edits.set),
            (Verb::Append, &edits.append),
            (Verb::Add, &edits.add),
        ];
        let all = all.into_iter().flat_map(|(verb, pairs)| {
            pairs.iter().map(move |(name, text)| Edit {
                verb,
                name: name.clone().into_bytes(),
                value: Template::compile(text),
            })
        });
        Self {
            remove: edits.remove.iter().map(name).collect(),
            edits: all.collect(),
            on: edits.on,
        }
    }

    /// Whether there is anything to do.
    fn concerns(&self, fields: &headers::Headers) -> bool {
        let mut fields = fields.iter();
        !self.edits.is_empty() || fields.any(|(id, name, _)| !is_fixed(id) && self.removes(name))
    }

    fn removes(&self, name: &[u8]) -> bool {
        self.remove.iter().any(|pattern| match pattern {
            Name::Exact(exact) => exact.eq_ignore_ascii_case(name),
            Name::Glob(pattern) => matches_any_case(pattern, name),
        })
    }
}

/// Whether `name` matches `pattern`, which is in lower case.
fn matches_any_case(pattern: &[u8], name: &[u8]) -> bool {
    let mut room = [0; 64];
    match room.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            glob::matches(pattern, lower)
        }
        None => glob::matches(pattern, &name.to_ascii_lowercase()),
    }
}

/// What no glob takes away: the message would be another one, or none.
fn is_fixed(id: HeaderId) -> bool {
    is_hop_by_hop(id) || matches!(id, HeaderId::ContentLength | HeaderId::Host)
}

/// Takes away what tells which software made an answer.
pub(super) fn hide_versions(exchange: &mut Exchange) {
    let tells = |id| {
        matches!(
            id,
            HeaderId::XPoweredBy
                | HeaderId::XAspnetVersion
                | HeaderId::XAspnetMvcVersion
                | HeaderId::XRuntime
        )
    };
    let fields = &mut exchange.response.headers;
    if fields.iter().any(|(id, _, _)| tells(id)) {
        fields.retain(|id, _, _| !tells(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, text): &(&str, &str)| (name.to_string(), text.to_string());
        list.iter().map(own).collect()
    }

    fn filter(groups: &[Edits]) -> Headers {
        Headers {
            request: Vec::new(),
            response: groups.iter().map(Group::new).collect(),
            text: RefCell::default(),
        }
    }

    fn edited(groups: &[Edits], status: u16) -> (Vec<String>, u64) {
        let mut exchange = Exchange::default();
        exchange.response.status = status;
        exchange.identity.user = b"a\r\nb: c".to_vec();
        for (name, value) in [("X-One", "1"), ("X-Two", "2"), ("Vary", "Cookie")] {
            let fields = &mut exchange.response.headers;
            fields.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let counters = Counters::default();
        filter(groups).response(&mut exchange, &counters);
        let fields = exchange.response.headers.iter().map(|(_, name, value)| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            format!("{}: {}", text(name), text(value))
        });
        (fields.collect(), counters.fields_refused.value())
    }

    #[test]
    fn edits_are_made_in_order_each_on_what_the_one_before_has_left() {
        let site = Edits {
            remove: vec!["x-*".into()],
            set: pairs(&[("X-One", "site {status}")]),
            append: pairs(&[("Vary", "Origin"), ("Link", "a")]),
            ..Edits::default()
        };
        let route = Edits {
            set: pairs(&[("x-one", "route")]),
            add: pairs(&[("X-One", "again")]),
            ..Edits::default()
        };
        let (fields, _) = edited(&[site.clone()], 200);
        let expected = ["X-One: site 200", "Vary: Cookie, Origin", "Link: a"];
        assert_eq!(fields, expected);
        let (fields, _) = edited(&[site, route], 200);
        let expected = [
            "Vary: Cookie, Origin",
            "Link: a",
            "x-one: route",
            "X-One: again",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_is_appended_stands_behind_all_values_that_are_there() {
        let add = Edits {
            add: pairs(&[("Vary", "Accept"), ("vary", "Origin")]),
            ..Edits::default()
        };
        let append = Edits {
            append: pairs(&[("Vary", "X-Team")]),
            ..Edits::default()
        };
        let (fields, _) = edited(&[add, append], 200);
        assert_eq!(fields[2..], ["Vary: Cookie, Accept, Origin, X-Team"]);
    }

    #[test]
    fn a_value_that_is_none_is_left_out_and_counted() {
        let edits = Edits {
            set: pairs(&[("X-One", "{user}"), ("X-New", "{user}")]),
            append: pairs(&[("Vary", "{user}")]),
            ..Edits::default()
        };
        let (fields, refused) = edited(&[edits], 200);
        assert_eq!(fields, ["X-One: 1", "X-Two: 2", "Vary: Cookie"]);
        assert_eq!(refused, 3);
    }

    #[test]
    fn edits_may_be_for_some_answers_only() {
        for (on, at_200, at_404) in [
            (Answers::Any, true, true),
            (Answers::Ok, true, false),
            (Answers::Error, false, true),
        ] {
            let edits = Edits {
                add: pairs(&[("X-New", "1")]),
                on,
                ..Edits::default()
            };
            let has = |status| edited(&[edits.clone()], status).0.len() == 4;
            assert_eq!((has(200), has(404)), (at_200, at_404), "{on:?}");
        }
    }
}
