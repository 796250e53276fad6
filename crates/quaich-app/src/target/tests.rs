//! What each way to name an app finds, on real folders.

use super::*;
use std::fs;

/// A folder of files that is removed at the end.
pub(crate) struct Tree(PathBuf);

impl Tree {
    pub(crate) fn new(files: &[(&str, &str)]) -> Tree {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("quaich-tree-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(&root).unwrap();
        let tree = Tree(root);
        for (path, text) in files {
            let path = tree.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn module(tree: &Tree, app: Option<&str>, dir: &str) -> (String, PathBuf, String) {
    let found = find(app, &tree.path(dir)).unwrap();
    let Target::Module(module) = found.target else {
        panic!("{found:?}")
    };
    (module, found.dir, found.name)
}

const MANAGE: &str = "#!/usr/bin/env python\nimport os\n\ndef main():\n    \
    os.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", 'mysite.settings.base')\n";

#[test]
fn a_spelt_out_module_is_taken_as_it_is() {
    let tree = Tree::new(&[]);
    for app in ["shop.wsgi:application", "shop", "shop.web:create_app()"] {
        let found = find(Some(app), &tree.path("")).unwrap();
        assert_eq!(found.target, Target::Module(app.to_owned()));
        assert_eq!((found.name.as_str(), found.note), ("shop", None));
    }
}

#[test]
fn a_django_project_is_found_by_its_manage_py_even_beside_other_apps() {
    let tree = Tree::new(&[
        ("site/manage.py", MANAGE),
        ("site/mysite/wsgi.py", ""),
        ("site/other/wsgi.py", ""),
        ("site/app.py", ""),
    ]);
    let expected = (
        "mysite.wsgi".to_owned(),
        tree.path("site"),
        "mysite".to_owned(),
    );
    assert_eq!(module(&tree, Some("site"), ""), expected);
    assert_eq!(module(&tree, None, "site"), expected);
}

#[test]
fn a_folder_is_searched_for_the_usual_names_in_order() {
    let tree = Tree::new(&[
        ("a/app.py", ""),
        ("a/main.py", ""),
        ("b/main.py", ""),
        ("b/wsgi.py", ""),
        ("c/pkg/wsgi.py", ""),
    ]);
    assert_eq!(module(&tree, Some("a"), "").0, "app");
    assert_eq!(module(&tree, Some("b"), "").0, "main");
    assert_eq!(module(&tree, Some("c"), "").0, "pkg.wsgi");
    assert_eq!(
        module(&tree, Some("a"), "").2,
        "a",
        "named after the folder"
    );
    let note = find(Some("b"), &tree.path("")).unwrap().note.unwrap();
    assert_eq!(note, format!("main.py in {}", tree.path("b").display()));
}

#[test]
fn a_file_stands_alone_unless_it_is_part_of_a_package() {
    let tree = Tree::new(&[
        ("solo/my-app.py", ""),
        ("pkg/__init__.py", ""),
        ("pkg/web/__init__.py", ""),
        ("pkg/web/serve.py", ""),
    ]);
    let found = find(Some("solo/my-app.py:api"), &tree.path("")).unwrap();
    let path = tree.path("solo/my-app.py");
    assert_eq!(
        found.target,
        Target::File(format!("{}:api", path.display()))
    );
    assert_eq!(
        (found.dir, found.name.as_str()),
        (tree.path("solo"), "my-app")
    );

    let (name, dir, _) = module(&tree, Some("pkg/web/serve.py:app"), "");
    assert_eq!((name.as_str(), dir), ("pkg.web.serve:app", tree.path("")));
    assert_eq!(
        module(&tree, Some("pkg"), "").0,
        "pkg",
        "a package is a module"
    );
}

#[test]
fn what_cannot_be_found_is_said_with_the_cure() {
    let tree = Tree::new(&[
        ("empty/readme", ""),
        ("two/a/wsgi.py", ""),
        ("two/b/wsgi.py", ""),
    ]);
    let error = |app| find(Some(app), &tree.path("")).unwrap_err();
    assert!(
        error("empty").starts_with("no app found in"),
        "{}",
        error("empty")
    );
    assert!(
        error("two").contains("several wsgi.py (a, b)"),
        "{}",
        error("two")
    );
    assert_eq!(error("gone.py"), "there is no file `gone.py`");
    assert!(error("no/such/folder").ends_with("or a folder that exists"));
}
