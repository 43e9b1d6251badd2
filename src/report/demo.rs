//! The demo, scene by scene.

use std::io;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::{Report, diff, json, rollout, set};
use crate::ops::{DemoReport, Scene};

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const COMMAND: Style = Style::new().dimmed();

/// Writes what is on stage, and the command that does it outside of the demo.
///
/// # Errors
///
/// Fails if `out` does.
pub fn scene(scene: &Scene<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    match scene {
        Scene::Home(home) => {
            writeln!(out, "The main job, on parts that this binary brings along, in {home}")
        }
        Scene::Built(report) => {
            title(out, "Build the service and pin its image by digest")?;
            command(out, "deployctl build ranking --layout ../images")?;
            report.human(out)
        }
        Scene::Set(report) => {
            title(out, "State the digest in dev's overlay, commit, push")?;
            command(out, "deployctl set --env dev ranking=…")?;
            report.edits.iter().try_for_each(|edit| diff::colored(&edit.diff, out))?;
            writeln!(out, "{}", set::sentence(report))
        }
        Scene::Replay(environment) => {
            title(out, &format!("Verify that {environment} runs it"))?;
            command(out, &format!("deployctl verify --env {environment}"))?;
            writeln!(
                out,
                "(a rollout recorded on a real Kubernetes cluster is replayed, with this image's"
            )?;
            writeln!(out, "name and this commit put in; no cluster is asked now)")
        }
        Scene::Verified(report) => rollout::write_rollout(report, out),
        Scene::Promoted(report) => {
            title(out, "Promote what dev runs to prod: the same digest")?;
            command(out, "deployctl promote --from dev --to prod")?;
            report.set.iter().try_for_each(|set| writeln!(out, "{}", set::sentence(set)))
        }
        Scene::History(changes) => {
            title(out, "The history of prod")?;
            command(out, "deployctl history ranking --env prod")?;
            super::status::write_history(changes, out)
        }
    }
}

fn title(out: &mut dyn io::Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{TITLE}{text}{TITLE:#}")
}

fn command(out: &mut dyn io::Write, text: &str) -> io::Result<()> {
    writeln!(out, "{COMMAND}$ {text}{COMMAND:#}")
}

impl Report for DemoReport {
    fn human(&self, out: &mut dyn io::Write) -> io::Result<()> {
        title(out, "Where everything lies")?;
        let home = &self.home;
        for (what, path) in [
            ("manifests repository", "manifests.git"),
            ("service and deployctl.yaml", "shop"),
            ("image (OCI layout)", "images"),
            ("cache of the repository", "cache"),
        ] {
            writeln!(out, "{what:<27} {home}/{path}")?;
        }
        match self.is_kept {
            true => writeln!(out, "Look around: cd {home}/shop && deployctl status"),
            false => writeln!(out, "It is removed now; `deployctl demo --keep DIR` keeps it."),
        }
    }

    fn json(&self) -> Value {
        json::v1::demo(self)
    }
}
