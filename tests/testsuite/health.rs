//! The health of our own fixtures, `tests/data/health/<Kind>/<status>_<reason>.yaml`.
//!
//! The file's name says the status (`absent`: no health), its comment `# says:` the message.

use std::path::Path;

use deployctl::health::assess;
use deployctl::k8s::Object;

#[test]
fn fixtures_have_the_status_that_they_are_named_after() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/health");
    let mut wrong = Vec::new();
    for kind in folder.read_dir().unwrap() {
        for file in kind.unwrap().path().read_dir().unwrap() {
            let path = file.unwrap().path();
            let (expected, actual) = check(&path);
            if expected != actual {
                wrong.push(format!("{}: expected {expected:?}, found {actual:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(path: &Path) -> (String, String) {
    let yaml = std::fs::read_to_string(path).unwrap();
    let (status, _) = path.file_stem().unwrap().to_str().unwrap().split_once('_').unwrap();
    let says = yaml.lines().next().and_then(|line| line.strip_prefix("# says: "));
    let object = Object::read_all(&yaml).unwrap().remove(0);
    let actual = match assess(&object).health {
        Some(health) => {
            format!("{} {}", health.status.as_str().to_lowercase(), health.message)
        }
        None => "absent ".to_owned(),
    };
    (format!("{status} {}", says.unwrap_or_default()), actual)
}
