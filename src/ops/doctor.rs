//! `deployctl registry doctor`: why a push is refused, found out before there is anything to push.

mod advice;

use crate::image::ImageName;
use crate::registry::{Examination, Login, Remote};

/// What to examine.
pub struct DoctorOptions<'a> {
    /// The repositories.
    pub names: Vec<ImageName>,
    /// The registries.
    pub registry: &'a Remote,
    /// The GitHub repository, `owner/name`, whose workflow this runs in, if it does.
    pub workflow_of: Option<&'a str>,
}

/// What was found, one a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorReport {
    /// In the order of the options.
    pub repositories: Vec<Diagnosis>,
}

/// What was found about a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The repository.
    pub name: ImageName,
    /// One a check, in the order of [`Check`].
    pub findings: Vec<Finding>,
}

/// What a check showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// Whether a push can be done as far as this check goes; `None` if it could not be told.
    pub passed: Option<bool>,
    /// What was seen.
    pub says: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The registry answers.
    Reach,
    /// There are credentials, and they are accepted.
    Login,
    /// The repository is there.
    Repository,
    /// An upload may be begun.
    Push,
}

impl DoctorReport {
    /// Returns whether every repository can be pushed to.
    pub fn is_healthy(&self) -> bool {
        self.repositories.iter().all(Diagnosis::is_healthy)
    }
}

impl Diagnosis {
    /// Returns whether the repository can be pushed to.
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.passed != Some(false))
    }
}

impl Check {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Login => "login",
            Self::Repository => "repository",
            Self::Push => "push",
        }
    }
}

/// Asks each registry as a push would, and says what is in the way. Nothing is stored: the upload
/// that is begun is taken back.
pub async fn doctor(options: &DoctorOptions<'_>) -> DoctorReport {
    let mut repositories = Vec::new();
    for name in &options.names {
        let examination = options.registry.examine(name).await;
        repositories.push(diagnose(&examination, options.workflow_of));
    }
    DoctorReport { repositories }
}

/// Returns what the examination means. `workflow_of` is the GitHub repository of the workflow.
fn diagnose(examination: &Examination, workflow_of: Option<&str>) -> Diagnosis {
    let findings =
        vec![reach(examination), login(examination), repository(examination), push(examination)];
    let mut diagnosis = Diagnosis { name: examination.name.clone(), findings };
    let first = diagnosis.findings.iter_mut().find(|finding| finding.passed == Some(false));
    if let Some(first) = first {
        first.advice = Some(advice::on(first.check, examination, workflow_of));
    }
    diagnosis
}

fn reach(examination: &Examination) -> Finding {
    let domain = examination.name.domain();
    let says = match &examination.reached {
        Err(error) if advice::is_unreachable(error) => advice::words(error),
        _ => format!("`{domain}` answers over {}", examination.scheme),
    };
    let unreachable = examination.reached.as_ref().err().is_some_and(advice::is_unreachable);
    Finding { check: Check::Reach, passed: Some(!unreachable), says, advice: None }
}

fn login(examination: &Examination) -> Finding {
    let finding = |passed, says| Finding { check: Check::Login, passed, says, advice: None };
    let who = match &examination.login {
        Login::Broken(reason) => return finding(Some(false), reason.clone()),
        Login::Nobody { looked_in } => format!("no credentials in {looked_in}"),
        Login::Somebody { user: Some(user), place } => format!("`{user}`, from {place}"),
        Login::Somebody { user: None, place } => format!("a token from {place}"),
    };
    match &examination.reached {
        Err(error) if advice::is_unreachable(error) => finding(None, who),
        Err(error) => finding(Some(false), format!("{who}; {}", advice::words(error))),
        Ok(()) => finding(Some(true), who),
    }
}

fn repository(examination: &Examination) -> Finding {
    let path = examination.name.path();
    let (passed, says) = match &examination.pull {
        _ if examination.reached.is_err() => (None, "not asked".to_owned()),
        Ok(true) => {
            let left = examination.pulls_left.map(|left| format!("; {left} pulls left for now"));
            (Some(true), format!("`{path}` is there{}", left.unwrap_or_default()))
        }
        // Many registries make it at the first push.
        Ok(false) => (None, format!("there is no `{path}` yet")),
        Err(error) => (None, advice::words(error)),
    };
    Finding { check: Check::Repository, passed, says, advice: None }
}

fn push(examination: &Examination) -> Finding {
    let (passed, says) = match &examination.push {
        _ if examination.reached.is_err() => (None, "not asked".to_owned()),
        Ok(()) => (Some(true), "an upload may be begun".to_owned()),
        Err(error) => {
            let granted = examination.granted.as_ref().map(|actions| match actions.as_slice() {
                [] => "; the token allows nothing there".to_owned(),
                actions => format!("; the token allows {} there", actions.join(" and ")),
            });
            let words = advice::words(error);
            (Some(false), format!("{words}{}", granted.unwrap_or_default()))
        }
    };
    Finding { check: Check::Push, passed, says, advice: None }
}
