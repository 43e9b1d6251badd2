//! Environment variables, read once and passed on as a value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

/// The environment variables of the process, or of a test.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

/// The variables by which pipelines say that they are one. Nearly all set the first.
const CI: &[&str] = &[
    "CI",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "BUILDKITE",
    "CIRCLECI",
    "TF_BUILD",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "CODEBUILD_BUILD_ID",
];

/// The variables in which pipelines other than GitHub's say where their run can be looked at.
const RUN_URLS: &[&str] =
    &["CI_PIPELINE_URL", "CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL"];

impl Environment {
    /// Returns this process's environment. Variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// Returns the variable's value, or `None` if it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the environment with the variable `name`, whatever it was before.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Returns the path of the program `name` on `PATH`, or `None`.
    pub fn find_program(&self, name: &str) -> Option<Utf8PathBuf> {
        let folders = self.get("PATH")?.split(':').filter(|folder| !folder.is_empty());
        folders.map(|folder| Utf8PathBuf::from(folder).join(name)).find(|path| is_executable(path))
    }

    /// Returns the folder that caches go to: `DEPLOYCTL_CACHE_DIR`, else `deployctl` below
    /// `XDG_CACHE_HOME` or `~/.cache`; `None` if there is no home either.
    pub fn cache_dir(&self) -> Option<Utf8PathBuf> {
        if let Some(dir) = self.get("DEPLOYCTL_CACHE_DIR") {
            return Some(dir.into());
        }
        let base = match self.get("XDG_CACHE_HOME") {
            Some(dir) => Utf8PathBuf::from(dir),
            None => Utf8PathBuf::from(self.get("HOME")?).join(".cache"),
        };
        Some(base.join("deployctl"))
    }

    /// Returns whether a pipeline runs deployctl, and no person.
    pub fn is_ci(&self) -> bool {
        let says_no = |value: &str| value.eq_ignore_ascii_case("false") || value == "0";
        CI.iter().any(|name| self.get(name).is_some_and(|value| !says_no(value)))
    }

    /// Returns the page of the pipeline's run that deployctl is part of: `DEPLOYCTL_RUN_URL`, else
    /// what GitHub Actions, GitLab CI and others say; `None` where it is no HTTP address.
    pub fn run_url(&self) -> Option<String> {
        let named = || RUN_URLS.iter().find_map(|name| self.get(name)).map(ToOwned::to_owned);
        let own = self.get("DEPLOYCTL_RUN_URL").map(ToOwned::to_owned);
        let url = own.or_else(|| self.github_run()).or_else(named)?;
        let is_http = url.starts_with("https://") || url.starts_with("http://");
        let is_clean = !url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
        (is_http && is_clean).then_some(url)
    }

    fn github_run(&self) -> Option<String> {
        let server = self.get("GITHUB_SERVER_URL")?;
        let repository = self.get("GITHUB_REPOSITORY")?;
        Some(format!("{server}/{repository}/actions/runs/{}", self.get("GITHUB_RUN_ID")?))
    }

    /// Returns all variables by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    /// Names only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn is_executable(path: &Utf8Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Environment {
        variables.iter().copied().collect()
    }

    #[test]
    fn a_pipeline_says_that_it_is_one() {
        assert!(of(&[("CI", "true")]).is_ci());
        assert!(of(&[("CI", "false"), ("GITLAB_CI", "true")]).is_ci());
        assert!(of(&[("JENKINS_URL", "https://ci.example.com/")]).is_ci());
        for no in ["", "0", "false", "False"] {
            assert!(!of(&[("CI", no)]).is_ci(), "{no}");
        }
        assert!(!of(&[]).is_ci());
    }

    #[test]
    fn the_page_of_a_run_is_what_the_pipeline_says() {
        let github = [
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "shop/ranking"),
            ("GITHUB_RUN_ID", "42"),
        ];
        let url = |variables: &[_]| of(variables).run_url();
        let page = "https://github.com/shop/ranking/actions/runs/42";
        assert_eq!(url(&github).as_deref(), Some(page));
        assert_eq!(url(&github[..2]), None);
        let job = ("CI_JOB_URL", "https://git.example.com/shop/-/jobs/7");
        assert_eq!(url(&[job]).as_deref(), Some(job.1));
        let pipeline = ("CI_PIPELINE_URL", "https://git.example.com/shop/-/pipelines/3");
        assert_eq!(url(&[job, pipeline]).as_deref(), Some(pipeline.1));
        let own = ("DEPLOYCTL_RUN_URL", "https://ci.example.com/run/1");
        assert_eq!(url(&[pipeline, own]).as_deref(), Some(own.1));
        for bad in ["run 7", "https://a:b@ci.example.com/", "javascript:alert(1)", "https://x/\ny"]
        {
            assert_eq!(url(&[("DEPLOYCTL_RUN_URL", bad)]), None, "{bad}");
        }
    }
}
