//! A manifests repository as large as one likes, by `git fast-import`.

use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};

use camino::Utf8Path;

/// How large it is. A service has seven files; each commit after the first changes one of them.
#[derive(Clone, Copy)]
pub(crate) struct Fleet {
    pub(crate) services: usize,
    pub(crate) commits: usize,
}

/// Returns the folder of the overlay of `service` for `environment`.
pub(crate) fn overlay(service: usize, environment: &str) -> String {
    format!("apps/s{service:05}/overlays/{environment}")
}

impl Fleet {
    /// Makes the bare repository `dir`, whose server lets fetches leave files out.
    pub(crate) fn generate(self, dir: &Utf8Path) {
        let git = |arguments: &[&str]| {
            let done = Command::new("git").args(arguments).current_dir(dir).status().unwrap();
            assert!(done.success(), "git {arguments:?}");
        };
        std::fs::create_dir_all(dir).unwrap();
        git(&["init", "-q", "--bare", "-b", "main", "."]);
        git(&["config", "uploadpack.allowFilter", "true"]);
        git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let mut import = Command::new("git");
        import.args(["fast-import", "--quiet"]).current_dir(dir).stdin(Stdio::piped());
        let mut import = import.spawn().unwrap();
        self.stream(&mut BufWriter::new(import.stdin.take().unwrap())).unwrap();
        assert!(import.wait().unwrap().success());
    }

    fn stream(self, out: &mut impl Write) -> std::io::Result<()> {
        commit(out, 0, "First")?;
        for service in 0..self.services {
            for (path, text) in files(service) {
                inline(out, &format!("apps/s{service:05}/{path}"), &text)?;
            }
        }
        for number in 1..self.commits {
            // A step that is prime to the number of services visits them all, out of order.
            let service = number * 7919 % self.services;
            let environment = if number % 2 == 0 { "dev" } else { "prod" };
            commit(out, number, &format!("Deploy s{service:05} v{number} to {environment}"))?;
            let path = format!("{}/kustomization.yaml", overlay(service, environment));
            inline(out, &path, &kustomization(service, environment, number))?;
        }
        out.flush()
    }
}

fn commit(out: &mut impl Write, number: usize, subject: &str) -> std::io::Result<()> {
    let time = 1_700_000_000 + number * 60;
    let length = subject.len() + 1;
    writeln!(out, "commit refs/heads/main\ncommitter CI <ci@example.com> {time} +0000")?;
    writeln!(out, "data {length}\n{subject}\n")
}

fn inline(out: &mut impl Write, path: &str, text: &str) -> std::io::Result<()> {
    writeln!(out, "M 100644 inline {path}\ndata {}\n{text}", text.len())
}

fn files(service: usize) -> Vec<(String, String)> {
    let name = format!("s{service:05}");
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  selector:\n    \
         matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}}}\n    \
         spec:\n      containers:\n      - name: main\n        image: registry.example.com/shop/{name}\n"
    );
    let port = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  \
         selector: {{app: {name}}}\n  ports: [{{port: 80}}]\n"
    );
    let replicas = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 2\n"
    );
    let base = "resources:\n- deployment.yaml\n- service.yaml\n".to_owned();
    let mut files = vec![
        ("base/kustomization.yaml".to_owned(), base),
        ("base/deployment.yaml".to_owned(), deployment),
        ("base/service.yaml".to_owned(), port),
    ];
    for environment in ["dev", "prod"] {
        let text = kustomization(service, environment, 0);
        files.push((format!("overlays/{environment}/kustomization.yaml"), text));
        files.push((format!("overlays/{environment}/replicas.yaml"), replicas.clone()));
    }
    files
}

fn kustomization(service: usize, environment: &str, version: usize) -> String {
    format!(
        "namespace: {environment}\nresources:\n- ../../base\npatches:\n- path: replicas.yaml\n\
         images:\n- name: registry.example.com/shop/s{service:05}\n  newTag: v{version}\n"
    )
}
