//! What `lint` finds, by the cases in `tests/data/lint`, rendered for real.

use std::collections::BTreeMap;

use async_trait::async_trait;
use camino::Utf8Path;
use deployctl::config::Config;
use deployctl::image::{Digest, ImageReference, Manifest};
use deployctl::kustomize::MemoryTree;
use deployctl::lint::Branch;
use deployctl::ops::{Event, LintOptions, LintReport, lint};
use deployctl::registry::{RegistryError, Resolver};
use deployctl::render::External;
use deployctl::report::{Report as _, json};
use deployctl::system::Environment;
use jsonschema::{Draft, Validator};
use serde::Deserialize;

use crate::cli::shop::Shop;
use crate::support::data::cases;
use crate::support::{Ran, World, missing, peer};

/// A case: a repository, what the registry knows, and what is found.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    files: BTreeMap<String, String>,
    /// `environments.*.application`
    application: Option<String>,
    /// `environments.prod.gates`
    gates: Option<serde_json::Value>,
    /// The environments that are looked at; those with files if left out.
    environments: Option<Vec<String>>,
    /// `environments.prod.write`
    write: Option<String>,
    /// Digests by reference; not asked if there are none.
    registry: Option<BTreeMap<String, String>>,
    /// A line each: severity, rule, place, message.
    findings: String,
}

impl Case {
    fn looks_at(&self, environment: &str) -> bool {
        match &self.environments {
            Some(names) => names.iter().any(|name| name == environment),
            None => self.files.keys().any(|file| file.starts_with(environment)),
        }
    }

    fn config(&self) -> Config {
        let application = self.application.as_ref();
        let application = application.map(|name| format!("    application: '{name}'\n"));
        let application = application.unwrap_or_default();
        let gates = self.gates.as_ref().map(|gates| format!("    gates: {gates}\n"));
        let write = self.write.as_ref().map(|write| format!("    write: {write}\n"));
        let text = format!(
            "version: 1\nenvironments:\n  dev:\n    overlay: '{{env}}'\n{application}  prod:\n    overlay: '{{env}}'\n    from: dev\n{}{}services:\n  web:\n    image: registry.example.com/shop/web\n",
            gates.unwrap_or_default(),
            write.unwrap_or_default()
        );
        Config::parse(Utf8Path::new("deployctl.yaml"), &text).unwrap()
    }
}

/// A registry that knows a few digests and nothing else.
struct Digests(BTreeMap<String, String>);

#[async_trait]
impl Resolver for Digests {
    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        Ok(self.0.get(&reference.to_string()).map(|digest| digest.parse().unwrap()))
    }

    async fn manifest(&self, _: &ImageReference) -> Result<Option<Manifest>, RegistryError> {
        panic!("a digest is enough")
    }
}

async fn report(case: &Case, renderer: &External) -> LintReport {
    let files = case.files.iter().map(|(path, text)| (path.into(), text.clone().into_bytes()));
    let tree = MemoryTree(files.collect());
    let config = case.config();
    let service = &config.services["web"];
    let registry = case.registry.clone().map(Digests);
    let options = LintOptions {
        tree: &tree,
        branch: Some(Branch {
            remote: "https://git.example.com/shop/manifests".to_owned(),
            name: "main".to_owned(),
        }),
        manifests: None,
        overlays: Some(
            config
                .environments
                .values()
                .filter(|environment| case.looks_at(&environment.name))
                .map(|environment| (environment, service))
                .collect(),
        ),
        renderer,
        registry: registry.as_ref().map(|registry| registry as &dyn Resolver),
    };
    lint(&options, &|event| assert!(matches!(event, Event::Warning(_)))).await.unwrap()
}

fn lines(report: &LintReport) -> String {
    let lines = report.findings.iter().map(|finding| {
        let place = format!("{}:{}", finding.file, finding.line);
        format!("{} {} {place} {}", finding.severity, finding.rule, finding.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn each_rule_finds_what_it_is_for_and_nothing_else() {
    if peer("kubectl").is_none() {
        return;
    }
    let renderer = External::new(&Environment::of_process());
    let schema = sarif_schema();
    let mut told = String::new();
    for (name, case) in cases::<Case>("lint") {
        let report = report(&case, &renderer).await;
        let found = lines(&report);
        if found != case.findings {
            told.push_str(&format!("== {name}\n{found}\n-- expected\n{}\n", case.findings));
        }
        sarif_holds(&report, schema.as_ref());
    }
    assert!(told.is_empty(), "{told}");
}

/// Returns the schema of SARIF 2.1.0 as OASIS publishes it, or `None` after one printed line where
/// it is not there.
fn sarif_schema() -> Option<Validator> {
    let path = std::env::var_os("DEPLOYCTL_SARIF_SCHEMA").map(std::path::PathBuf::from);
    let Some(text) = path.and_then(|path| std::fs::read(path).ok()) else {
        missing("SARIF's published schema is not in DEPLOYCTL_SARIF_SCHEMA");
        return None;
    };
    let schema = serde_json::from_slice(&text).unwrap();
    let options = jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true);
    Some(options.build(&schema).unwrap())
}

/// Checks the report against the schema of SARIF, and the properties that code scanning reads.
fn sarif_holds(report: &LintReport, schema: Option<&Validator>) {
    let log = json::sarif(report);
    if let Some(schema) = schema {
        let errors: Vec<String> = schema.iter_errors(&log).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{log:#}");
        // The schema is one that refuses anything at all.
        let mut wrong = log.clone();
        wrong["runs"][0]["invocations"][0]["executionSuccessful"] = "yes".into();
        assert!(!schema.is_valid(&wrong));
    }
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "deployctl");
    let rules = driver["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["shortDescription"]["text"].is_string()));
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    for (result, finding) in results.iter().zip(&report.findings) {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        assert!(result["message"]["text"].as_str().unwrap().starts_with(&finding.message));
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], finding.file.as_str());
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
    }
}

#[tokio::test]
async fn without_a_renderer_the_file_alone_is_looked_at_and_that_is_said() {
    let renderer = External::new(&Environment::from_iter([("PATH", "/nowhere")]));
    let (_, case) =
        cases::<Case>("lint").into_iter().find(|(name, _)| name == "duplicateName").unwrap();
    let report = report(&case, &renderer).await;
    assert_eq!(lines(&report), case.findings);
    let said = "what renders is not checked: neither `kustomize` nor `kubectl` is on PATH";
    assert!(report.unchecked.iter().any(|text| text == said), "{:?}", report.unchecked);
    sarif_holds(&report, sarif_schema().as_ref());
    assert!(report.json()["unchecked"].as_array().unwrap().iter().any(|text| text == said));
}

#[test]
fn a_folder_is_looked_at_without_a_configuration() {
    if peer("kubectl").is_none() {
        return;
    }
    let world = World::new();
    world.write("m/base/kustomization.yaml", "resources: [pod.yaml]\n");
    world.write(
        "m/base/pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: default}\nspec:\n  containers:\n  - {name: web, image: web:1}\n",
    );
    let overlay = world.write(
        "m/dev/kustomization.yaml",
        "resources: [../base]\nimages:\n- name: wbe # the one\n  newTag: '2'\n",
    );
    let ran = world.run(&["lint", "--offline", "-C", "m", "--sarif", "found.sarif"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    insta::assert_snapshot!(ran.stdout, @"
    error[no-effect]: the entry `wbe` changes nothing: no container has this image; the overlay has `web`
     --> m/dev/kustomization.yaml:3:1
      |
    3 | - name: wbe # the one
      | ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write the entry for `web`; in deployctl.yaml that is `imageInManifests: web` of the service

    1 error in 1 overlay
    ");
    let sarif: serde_json::Value = serde_json::from_str(&world.read("found.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "no-effect");

    let ran = world.run(&["lint", "--offline", "-C", "m", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["schema"], "deployctl.dev/lint/v1");
    assert_eq!((&json["errors"], &json["overlays"]), (&1.into(), &1.into()));
    assert_eq!(json["findings"][0]["line"], 3);

    let text = std::fs::read_to_string(&overlay).unwrap().replace("wbe", "web");
    std::fs::write(&overlay, text).unwrap();
    let ran = world.run(&["lint", "--offline", "-C", "m"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "nothing found in 1 overlay\n"), "{ran:#?}");
}

#[test]
fn a_kustomization_that_can_not_be_read_does_not_hide_what_is_found_elsewhere() {
    let world = World::new();
    world.write("m/dev/kustomization.yaml", "resources: [x\n");
    world.write("m/prod/kustomization.yaml", "images: [{name: a}, {name: a}]\n");
    let ran = world.run(&["lint", "--offline", "-C", "m", "--sarif", "s", "--output", "json"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let rules = json["findings"].as_array().unwrap().iter().map(|found| found["rule"].clone());
    let rules: Vec<_> = rules.collect();
    assert!(rules.contains(&"broken-overlay".into()) && rules.contains(&"duplicate-name".into()));
    assert!(world.read("s").contains("m/dev/kustomization.yaml"));
}

#[test]
fn a_file_in_another_encoding_is_named_and_not_shown() {
    let world = World::new();
    let file = world.write("m/dev/kustomization.yaml", "");
    let text: Vec<u8> =
        "\u{feff}resources: []\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(file, text).unwrap();
    let ran = world.run(&["lint", "--offline", "-C", "m"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let says = "can't be read: it is UTF-16 (little-endian); save it as UTF-8";
    assert!(ran.stdout.contains(says) && !ran.stdout.contains(['\0', '\u{2400}']), "{ran:#?}");
}

#[test]
fn a_remote_base_hides_no_flaw_of_the_overlay_and_tells_no_password() {
    if peer("kubectl").is_none() {
        return;
    }
    let world = World::new();
    let remote = "https://user:tok@git.example.com/x?ref=1";
    let lint = |text: &str| {
        world.write("m/dev/kustomization.yaml", text);
        let ran = world.run(&["lint", "--offline", "-C", "m"]);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("tok"), "{ran:#?}");
        ran
    };
    let ran = lint(&format!("resources: ['{remote}']\n"));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "nothing found in 1 overlay\n"), "{ran:#?}");
    assert!(ran.stderr.contains("needs `https://git.example.com/x?ref=1`"), "{ran:#?}");
    for (more, says) in [
        ("bogus: 1", "does not render: invalid Kustomization: json: unknown field \"bogus\""),
        ("components: [../gone]", "gone"),
    ] {
        let ran = lint(&format!("resources: ['{remote}']\n{more}\n"));
        assert_eq!(ran.code, 1, "{ran:#?}");
        let is_told = ran.stdout.contains("error[broken-overlay]") && ran.stdout.contains(says);
        assert!(is_told, "{says}: {ran:#?}");
    }
    let patch = "patches: [{target: {kind: Pod, name: a}, patch: '[{op: remove, path: /a}]'}]";
    assert_eq!(lint(&format!("resources: ['{remote}']\n{patch}\n")).code, 0);
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let ran = World::new().run(&["lint", "--offline", "-C", "nowhere"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.stderr.contains("there is no folder `nowhere`"), "{ran:#?}");
}

#[test]
fn a_misspelt_overlay_is_an_error_and_is_shown() {
    let shop = Shop::new();
    let config = shop.world.read("deployctl.yaml").replace("overlays/dev\n", "overlays/dve\n");
    shop.world.write("deployctl.yaml", &config);
    let ran = shop.world.run(&["lint", "--offline", "-q"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    let said = "error[missing-overlay]: `ranking` has no overlay in `dev`: no kustomization in `apps/ranking/overlays/dve`";
    assert!(ran.stdout.contains(said), "{ran:#?}");
    assert!(ran.stdout.contains("apps/ranking/overlays/dve/kustomization.yaml"), "{ran:#?}");
}

#[test]
fn the_branch_is_looked_at_and_github_is_told() {
    if peer("kubectl").is_none() {
        return;
    }
    let shop = Shop::new();
    let redis = "resources: [deployment.yaml]\nimages:\n- {name: redis, newTag: '7'}\n";
    shop.manifests.commit("main", &[("apps/ranking/base/kustomization.yaml", redis)]);
    let overlay = shop.overlay("dev").replace("  - name: registry", "  - name: registy");
    shop.manifests.commit("main", &[("apps/ranking/overlays/dev/kustomization.yaml", &overlay)]);
    let world = shop.world.with("GITHUB_ACTIONS", "true");
    let ran = world.run(&["lint", "--offline", "--env", "dev"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stdout.contains("error[no-effect]"), "{ran:#?}");
    let annotation = "::error file=apps/ranking/overlays/dev/kustomization.yaml,line=4";
    assert!(ran.stderr.contains(annotation), "{ran:#?}");
    assert_eq!(world.run(&["lint", "--offline", "--env", "prod"]).code, 0);
    assert_eq!(world.run(&["lint", "--offline", "--env", "nowhere"]).code, 2);
}

#[test]
fn offline_the_branch_is_looked_at_as_it_was_fetched_last() {
    const URL: &str = "https://git.example.com/shop/manifests.git";
    if peer("kubectl").is_none() {
        return;
    }
    let shop = Shop::new();
    let overlay = "apps/ranking/overlays/dev/kustomization.yaml";
    let config = shop.world.path().join("deployctl.yaml");
    for branch in [", branch: main", ""] {
        shop.configure(URL, "");
        let text = std::fs::read_to_string(&config).unwrap().replace(", branch: main", branch);
        std::fs::write(&config, text).unwrap();
        let cache = shop.world.path().join(format!("cache{}", branch.len()));
        let here = |arguments: &[&str]| {
            let mut command = shop.world.command(arguments);
            command.env("DEPLOYCTL_CACHE_DIR", &cache);
            command
        };
        let never = Ran::of(&mut here(&["lint", "--offline"]));
        assert_eq!(never.code, 1, "{never:#?}");
        assert!(never.stderr.contains("is not asked offline"), "{never:#?}");
        assert!(never.stderr.contains("hint: run it once without `--offline`"), "{never:#?}");

        // The address leads to the repository in a folder while there is a network.
        let mut online = here(&["lint", "-q"]);
        online
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_VALUE_0", URL)
            .env("GIT_CONFIG_KEY_0", format!("url.{}.insteadOf", shop.manifests.path()));
        let online = Ran::of(&mut online);
        let before = shop.manifests.file("main", overlay);
        shop.manifests.commit("main", &[(overlay, "resources: [\n")]);
        let offline = Ran::of(&mut here(&["lint", "--offline", "-q"]));
        assert_eq!(offline.code, 0, "{online:#?} {offline:#?}");
        assert!(!offline.stdout.contains("broken-overlay"), "{offline:#?}");
        shop.manifests.commit("main", &[(overlay, &before)]);
    }
}
