//! One lock file of each kind, and the package URLs that it stands for.

use camino::Utf8Path;

use super::*;
use crate::image::Digest;

/// Reads a lock file and returns a line a package: its package URL, ` (dev)` where only development
/// needs it, ` SHA…` where there is a hash; then a line a gap.
fn listed(path: &str, text: &str) -> Vec<String> {
    let sbom = Sbom::of(&[LockFile { path: path.into(), text: text.to_owned() }]);
    let packages = sbom.packages.iter().map(|(package, found)| {
        let dev = if found.runs { "" } else { " (dev)" };
        let hash = package.hash.as_ref().map(|(algorithm, _)| format!(" {algorithm}"));
        format!("{}{dev}{}", package.purl, hash.unwrap_or_default())
    });
    packages.chain(sbom.gaps.iter().map(|gap| format!("gap {gap}"))).collect()
}

fn check(path: &str, text: &str, expected: &[&str]) {
    assert_eq!(listed(path, text), expected, "{path}");
}

const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const INTEGRITY: &str = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=";

#[test]
fn cargo() {
    let text = format!(
        r#"version = 4

[[package]]
name = "shop"
version = "0.1.0"
dependencies = ["rand"]

[[package]]
name = "rand"
version = "0.8.5"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{SHA256}"

[[package]]
name = "inner"
version = "1.0.0"
source = "sparse+https://crates.example.com/index/"

[[package]]
name = "forked"
version = "0.2.0"
source = "git+https://git.example.com/forked?branch=main#abc"
"#
    );
    check(
        "Cargo.lock",
        &text,
        &[
            "pkg:cargo/forked@0.2.0?vcs_url=git%2Bhttps://git.example.com/forked%40abc",
            "pkg:cargo/inner@1.0.0?repository_url=https://crates.example.com/index/",
            "pkg:cargo/rand@0.8.5 SHA-256",
        ],
    );
}

#[test]
fn npm() {
    let text = format!(
        r#"{{"lockfileVersion": 3, "packages": {{
            "": {{"name": "shop", "version": "1.0.0"}},
            "packages/own": {{"version": "1.0.0"}},
            "node_modules/own": {{"resolved": "packages/own", "link": true}},
            "node_modules/@a/b": {{"version": "2.0.0", "integrity": "{INTEGRITY}"}},
            "node_modules/@a/b/node_modules/c": {{"version": "3.0.0", "dev": true}},
            "node_modules/alias": {{"name": "real", "version": "4.0.0"}},
            "node_modules/g": {{"version": "1.0.0", "resolved": "git+ssh://git@git.example.com/g.git#abc"}}
        }}}}"#
    );
    let expected = [
        "pkg:npm/%40a/b@2.0.0 SHA-1",
        "pkg:npm/c@3.0.0 (dev)",
        "pkg:npm/g@1.0.0?vcs_url=git%2Bssh://git%40git.example.com/g.git%40abc",
        "pkg:npm/real@4.0.0",
    ];
    check("web/package-lock.json", &text, &expected);
    let first = format!(
        r#"{{"lockfileVersion": 1, "dependencies": {{
            "@a/b": {{"version": "2.0.0", "integrity": "{INTEGRITY}", "dependencies": {{
                "c": {{"version": "3.0.0", "dev": true}}}}}},
            "alias": {{"version": "npm:real@4.0.0"}},
            "own": {{"version": "file:own"}}
        }}}}"#
    );
    let expected = ["pkg:npm/%40a/b@2.0.0 SHA-1", "pkg:npm/c@3.0.0 (dev)", "pkg:npm/real@4.0.0"];
    check("npm-shrinkwrap.json", &first, &expected);
    check(
        "package-lock.json",
        "{\n\"packages\": {\"a\": 1}}",
        &[
            "gap package-lock.json:2: invalid type: integer `1`, expected struct Entry at line 2 column 19",
        ],
    );
}

#[test]
fn yarn() {
    let text = format!(
        r#"# yarn lockfile v1


"@a/b@^2.0.0", "@a/b@^2.1.0":
  version "2.1.3"
  resolved "https://registry.example.com/b.tgz#x"
  integrity {INTEGRITY}
  dependencies:
    version "^1.0.0"

alias@npm:real@^4:
  version "4.0.0"

"g@git+https://git.example.com/g.git":
  version "1.0.0"
  resolved "git+https://git.example.com/g.git#abc"
"#
    );
    let expected = [
        "pkg:npm/%40a/b@2.1.3 SHA-1",
        "pkg:npm/g@1.0.0?vcs_url=git%2Bhttps://git.example.com/g.git%40abc",
        "pkg:npm/real@4.0.0",
    ];
    check("yarn.lock", &text, &expected);
    check(
        "yarn.lock",
        "  version \"1\"\n",
        &["gap yarn.lock:1: a version stands without a package"],
    );

    let berry = r#"__metadata:
  version: 8
  cacheKey: 10c0

"@a/b@npm:^2.0.0, @a/b@npm:^2.1.0":
  version: 2.1.3
  resolution: "@a/b@npm:2.1.3"
  checksum: 10c0/abc
  languageName: node
  linkType: hard

"c@patch:c@npm%3A3.0.0#~/c.patch":
  version: 3.0.0
  resolution: "c@patch:c@npm%3A3.0.0#~/c.patch::version=3.0.0"

"g@https://git.example.com/g.git":
  version: 1.0.0
  resolution: "g@https://git.example.com/g.git#commit=abc"

"shop@workspace:.":
  version: 0.0.0-use.local
  resolution: "shop@workspace:."
"#;
    let expected = [
        "pkg:npm/%40a/b@2.1.3",
        "pkg:npm/c@3.0.0",
        "pkg:npm/g@1.0.0?vcs_url=git%2Bhttps://git.example.com/g.git%40abc",
    ];
    check("yarn.lock", berry, &expected);
}

#[test]
fn pnpm() {
    let five =
        "lockfileVersion: 5.4\npackages:\n  /@a/b/2.0.0_c@3.0.0:\n    dev: true\n  /c/3.0.0: {}\n";
    check("pnpm-lock.yaml", five, &["pkg:npm/%40a/b@2.0.0 (dev)", "pkg:npm/c@3.0.0"]);
    let six = "lockfileVersion: '6.0'\npackages:\n  /@a/b@2.0.0(c@3.0.0):\n    dev: false\n";
    check("pnpm-lock.yaml", six, &["pkg:npm/%40a/b@2.0.0"]);
    let nine = format!(
        "lockfileVersion: '9.0'\npackages:\n  '@a/b@2.0.0':\n    resolution: {{integrity: {INTEGRITY}}}\n  \
         own@file:own:\n    resolution: {{directory: own, type: directory}}\n  \
         g@https://git.example.com/g:\n    name: g\n    version: 1.0.0\n    resolution: {{type: git, repo: https://git.example.com/g, commit: abc}}\n  \
         odd: {{}}\n"
    );
    let expected = [
        "pkg:npm/%40a/b@2.0.0 SHA-1",
        "pkg:npm/g@1.0.0?vcs_url=git%2Bhttps://git.example.com/g%40abc",
        "gap pnpm-lock.yaml: `odd` names no version",
    ];
    check("pnpm-lock.yaml", &nine, &expected);
    let broken = listed("pnpm-lock.yaml", "packages:\n  - a\n");
    assert!(broken[0].starts_with("gap pnpm-lock.yaml:2: "), "{broken:?}");
}

#[test]
fn go() {
    let module = "module example.com/shop\n\ngo 1.22.0\n\nrequire github.com/a/B v1.2.3 // indirect\n\n\
                  require (\n\texample.com/c v0.1.0\n\texample.com/own v0.0.0\n)\n\n\
                  replace example.com/c => example.com/d v0.2.0\nreplace example.com/own v0.0.0 => ../own\n";
    let expected = ["pkg:golang/example.com/d@v0.2.0", "pkg:golang/github.com/a/b@v1.2.3"];
    check("go.mod", module, &expected);
    check("go.mod", "require x\n", &["gap go.mod:1: expected `require MODULE VERSION`"]);
    let sum = "example.com/c v0.1.0 h1:x=\nexample.com/c v0.1.0/go.mod h1:x=\nexample.com/e v1.0.0/go.mod h1:x=\n";
    check("go.sum", sum, &["pkg:golang/example.com/c@v0.1.0"]);

    let both = |module: &str| {
        let file = |path: &str, text: &str| LockFile { path: path.into(), text: text.to_owned() };
        let sbom = Sbom::of(&[file("a/go.mod", module), file("a/go.sum", sum)]);
        sbom.packages.into_keys().map(|package| package.purl).collect::<Vec<_>>()
    };
    assert_eq!(both(module), expected);
    assert_eq!(
        both("go 1.16\nrequire example.com/e v1.0.0\n"),
        ["pkg:golang/example.com/c@v0.1.0"]
    );
}

#[test]
fn python() {
    let poetry = r#"[[package]]
name = "Flask_Login"
version = "1.0"
groups = ["main", "dev"]

[[package]]
name = "pytest"
version = "8.0"
category = "dev"

[[package]]
name = "own"
version = "0"
[package.source]
type = "directory"
url = "own"

[[package]]
name = "g"
version = "2"
[package.source]
type = "git"
url = "https://git.example.com/g"
resolved_reference = "abc"
"#;
    let expected = [
        "pkg:pypi/flask-login@1.0",
        "pkg:pypi/g@2?vcs_url=git%2Bhttps://git.example.com/g%40abc",
        "pkg:pypi/pytest@8.0 (dev)",
    ];
    check("poetry.lock", poetry, &expected);
    let broken = listed("poetry.lock", "[[package]]\nname = \"a\"\n\nversion = 1\n");
    assert!(broken[0].starts_with("gap poetry.lock:4: "), "{broken:?}");

    let uv = r#"version = 1
[[package]]
name = "shop"
version = "0.1.0"
source = { virtual = "." }
[[package]]
name = "flask"
version = "3.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "inner"
version = "1.0"
source = { registry = "https://pypi.example.com/simple" }
[[package]]
name = "g"
version = "2"
source = { git = "https://git.example.com/g?rev=main#abc" }
"#;
    let expected = [
        "pkg:pypi/flask@3.0",
        "pkg:pypi/g@2?vcs_url=git%2Bhttps://git.example.com/g%40abc",
        "pkg:pypi/inner@1.0?repository_url=https://pypi.example.com/simple",
    ];
    check("uv.lock", uv, &expected);

    let pipfile = r#"{"default": {"flask": {"version": "==3.0"}, "own": {"path": "."}, "loose": {"version": "*"}},
        "develop": {"pytest": {"version": "==8.0"}, "flask": {"version": "==3.0"}}}"#;
    let expected = [
        "pkg:pypi/flask@3.0",
        "pkg:pypi/pytest@8.0 (dev)",
        "gap Pipfile.lock: `loose` is not pinned",
    ];
    check("Pipfile.lock", pipfile, &expected);

    let requirements = "# what runs\nflask[async]==3.0 \\\n    --hash=sha256:abc  # web\nrequests >= 2\n\n\
                        -r other.txt\n-e .\ng @ git+https://git.example.com/g@abc ; python_version > '3'\n\
                        star==1.*\n--index-url https://pypi.example.com/simple\n";
    let expected = [
        "pkg:pypi/flask@3.0",
        "pkg:pypi/g@abc?vcs_url=git%2Bhttps://git.example.com/g%40abc",
        "gap requirements-dev.txt:4: `requests >= 2` is not pinned; expected `NAME==VERSION`",
        "gap requirements-dev.txt:7: an editable package is not read",
        "gap requirements-dev.txt:9: `star==1.*` is not pinned to one version",
    ];
    check("requirements-dev.txt", requirements, &expected);
}

#[test]
fn gems() {
    let text = "GIT\n  remote: https://git.example.com/g\n  revision: abc\n  specs:\n    g (1.0)\n      rack (>= 2)\n\n\
                PATH\n  remote: .\n  specs:\n    own (0.1)\n\n\
                GEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.16.0-x86_64-linux)\n      racc (~> 1.4)\n    rack (3.0)\n\n\
                PLATFORMS\n  x86_64-linux\n\nDEPENDENCIES\n  rack\n";
    let expected = [
        "pkg:gem/g@1.0?vcs_url=git%2Bhttps://git.example.com/g%40abc",
        "pkg:gem/nokogiri@1.16.0",
        "pkg:gem/rack@3.0",
    ];
    check("Gemfile.lock", text, &expected);
    check(
        "Gemfile.lock",
        "GEM\n  specs:\n    a\n",
        &["gap Gemfile.lock:3: expected `NAME (VERSION)`"],
    );
}

#[test]
fn composer() {
    let text = format!(
        r#"{{"packages": [{{"name": "Laravel/framework", "version": "v11.0.0", "dist": {{"type": "zip", "shasum": "{SHA1}"}}}},
            {{"name": "shop/own", "version": "dev-main", "dist": {{"type": "path"}}}}],
            "packages-dev": [{{"name": "phpunit/phpunit", "version": "10.0.0"}}]}}"#
    );
    let expected = [
        "pkg:composer/laravel/framework@v11.0.0 SHA-1",
        "pkg:composer/phpunit/phpunit@10.0.0 (dev)",
    ];
    check("composer.lock", &text, &expected);
}

#[test]
fn only_lock_files_of_the_sources_are_read() {
    for (path, is) in [
        ("Cargo.lock", true),
        ("a/b/requirements-test.txt", true),
        ("node_modules/a/package-lock.json", false),
        ("vendor/go.mod", false),
        ("Cargo.toml", false),
        ("requirements.md", false),
    ] {
        assert_eq!(is_lock_file(Utf8Path::new(path)), is, "{path}");
    }
}

#[test]
fn the_document_is_the_same_whatever_order_files_come_in_and_says_what_it_lacks() {
    let file = |path: &str, text: &str| LockFile { path: path.into(), text: text.to_owned() };
    let dev = r#"{"develop": {"flask": {"version": "==3.0"}}}"#;
    let mut files = vec![
        file("Pipfile.lock", dev),
        file("requirements.txt", "flask==3.0\nloose\n"),
        file("b/Cargo.lock", "?"),
    ];
    let digest = Digest::of(b"image");
    let image = format!("registry.example.com/shop/web:1@{digest}").parse().unwrap();
    let document = Sbom::of(&files).to_cyclonedx(&image, &[]);
    files.reverse();
    assert_eq!(Sbom::of(&files).to_cyclonedx(&image, &[]), document);

    let [component] = document["components"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(component["purl"], "pkg:pypi/flask@3.0");
    assert_eq!(component.get("scope"), None, "it runs by one of the two");
    let found = component["evidence"]["occurrences"].as_array().unwrap();
    assert_eq!(found.len(), 2);
    let unread = document["metadata"]["properties"].as_array().unwrap();
    assert!(unread[0]["value"].as_str().unwrap().starts_with("b/Cargo.lock:1: "), "{unread:?}");
    assert!(unread[1]["value"].as_str().unwrap().starts_with("requirements.txt:2: `loose`"));
    let serial = document["serialNumber"].as_str().unwrap();
    assert_eq!(serial.len(), "urn:uuid:".len() + 36, "{serial}");
    assert_eq!(document["metadata"]["component"]["version"], digest.as_str());
}
