//! Laws of paths: the index decides as a walk over all routes does, and no way of writing a path
//! leads past a rule.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn segment() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "b", "ab", "aba", "x.php", "", ".", "ä"])
}

fn path() -> impl Strategy<Value = String> {
    vec(segment(), 0..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn pattern() -> impl Strategy<Value = PathPattern> {
    let glob = vec(select(vec!["/", "a", "b", "*", "?", ".php", "ä"]), 1..6);
    let regex = vec(
        select(vec![
            "/",
            "a",
            "b",
            ".",
            "[ab]",
            "(a|b)",
            "x?",
            "/.*",
            "\\.php",
            "(?i)A",
            "(?-u:\\xC3)",
        ]),
        0..4,
    );
    prop_oneof![
        path().prop_map(PathPattern::Exact),
        path().prop_map(|path| PathPattern::Prefix(format!("{}/", path.trim_end_matches('/')))),
        glob.prop_map(|parts| PathPattern::Glob(parts.concat())),
        (
            select(vec!["", "^", "(?m)^", "^|"]),
            regex,
            select(vec!["", "$", "/?$", "|$"])
        )
            .prop_map(|(start, parts, end)| {
                PathPattern::Regex(format!("{start}{}{end}", parts.concat()))
            }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_index_finds_what_a_walk_over_all_routes_finds(
        patterns in vec(vec(pattern(), 0..3), 1..20),
        prefixes in vec(select(vec!["", "", "", "/a", "/a/b"]), 20),
        path in path(),
    ) {
        let mut config = with_paths(&vec![PathPattern::Exact("/".into()); patterns.len()]);
        let routes = config.sites[0].routes.iter_mut();
        for ((route, patterns), prefix) in routes.zip(patterns).zip(prefixes) {
            route.path = patterns;
            route.prefix = prefix.into();
        }
        let routes = &config.sites[0].routes;
        let index = Index::new(routes);
        let matchers: Vec<Matcher> = routes
            .iter()
            .map(|route| Matcher::compile(route).expect("valid"))
            .collect();
        let takes = |place: usize| {
            let matcher = &matchers[place];
            let paths = &matcher.paths;
            let mounted = strip_mount(path.as_bytes(), config.sites[0].routes[place].prefix.as_bytes());
            mounted.is_some()
                && (paths.is_empty() || paths.iter().any(|own| own.matches(path.as_bytes())))
        };
        let walked = (0..matchers.len()).find(|place| takes(*place));
        prop_assert_eq!(index.first(path.as_bytes(), takes), walked);
    }
}

/// Something like a path, as those write it who want to get past a rule.
fn target() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "/",
        "//",
        "/./",
        "/../",
        "/..;/",
        "/.;a=b/",
        "%2f",
        "%2F",
        "%5c",
        "\\",
        "..",
        ".",
        ";",
        "%2e",
        "%2E",
        "%252e",
        "%252f",
        "%25",
        "%00",
        "%0d%0a",
        "%zz",
        "%",
        "deny",
        "%64eny",
        "DENY",
        "a",
        "%61",
        "%7e",
        "~",
        "?",
        "?/../deny",
        "%3f",
        "%3b",
        "%C3%A4",
        "%ff",
        "+",
        "%20",
        ":",
        "@",
        "*",
    ]);
    vec(piece, 0..9).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// Path pieces around a rule for `/deny`.
fn rules() -> RouteTable {
    table(
        "[[site.main.route]]\npath = [\"/deny\", \"/deny/*\"]\nstatus = 403\n\
         [[site.main.route]]\npath = \"*.php\"\nstatus = 403\n\
         [[site.main.route]]\npath = \"~^/[ab]\"\nstatus = 403\n\
         [[site.main.route]]\nstatus = 404\n",
    )
}

fn chosen(table: &RouteTable, request: &RequestHead) -> Option<usize> {
    let client = crate::forwarded::Client::default();
    let facts = Facts {
        request,
        client: &client,
        at: None,
    };
    let route = table.sites[0].find(&table.acls, &facts);
    route.map(|route| route.index)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_is_forwarded_reads_as_what_was_matched(target in target()) {
        let table = rules();
        let Some(request) = get(&target) else { return Ok(()) };
        let forwarded = String::from_utf8(request.path().to_vec()).expect("percent-encoded");
        let again = get(&forwarded).expect("what is forwarded is a target");
        prop_assert_eq!(again.path(), request.path());
        prop_assert_eq!(again.path_decoded(), request.path_decoded());
        prop_assert_eq!(chosen(&table, &again), chosen(&table, &request));
        // Whoever decodes it once more finds no other way.
        let decoded = request.path_decoded();
        let mut segments = decoded.split(|&byte| byte == b'/');
        prop_assert!(!segments.any(|segment| segment == b".." || segment == b"."));
        prop_assert!(!decoded.iter().any(|&byte| byte < b' ' || byte == b'\\' || byte == 0x7f));
    }
}
