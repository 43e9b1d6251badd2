//! What to do when a registry refuses: by what it said, who asked, and whose registry it is.
//!
//! Several registries have one message for several causes. Where what was seen can't tell them
//! apart, all are named, the likeliest first. Sources: the registries' documentation; for GitHub's
//! `permission_denied: write_package`, actions/runner #1039.

use super::Check;
use crate::image::ImageName;
use crate::registry::{Examination, Login, RegistryError};

/// Registries whose refusals are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vendor {
    GitHub,
    DockerHub,
    Aws,
    Google,
    Azure,
    Other,
}

impl Vendor {
    fn of(name: &ImageName) -> Self {
        let domain = name.domain();
        let is_below = |zone: &str| domain == zone || domain.ends_with(&format!(".{zone}"));
        match domain {
            "docker.io" => Self::DockerHub,
            _ if is_below("ghcr.io") => Self::GitHub,
            _ if domain.contains(".dkr.ecr") && domain.contains(".amazonaws.com") => Self::Aws,
            _ if is_below("pkg.dev") || is_below("gcr.io") => Self::Google,
            _ if is_below("azurecr.io") => Self::Azure,
            _ => Self::Other,
        }
    }
}

/// Returns whether the registry gave no answer at all.
pub(super) fn is_unreachable(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Unreachable { .. } | RegistryError::File { .. })
}

/// Returns what an error says beyond naming registry and repository.
pub(super) fn words(error: &RegistryError) -> String {
    match error {
        RegistryError::Denied { reason, .. }
        | RegistryError::Answer { reason, .. }
        | RegistryError::Unreachable { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

/// Returns what to do about the first check that failed.
pub(super) fn on(check: Check, examination: &Examination, workflow_of: Option<&str>) -> String {
    let error = match check {
        Check::Reach | Check::Login => examination.reached.as_ref().err(),
        Check::Repository => examination.pull.as_ref().err(),
        Check::Push => examination.push.as_ref().err(),
    };
    let said = error.map(words).unwrap_or_default().to_lowercase();
    let name = &examination.name;
    match check {
        Check::Reach => reach(name, &said),
        _ if is_busy(&said) => {
            "the registry limits how often it is asked; log in, or wait and try again".to_owned()
        }
        _ if !matches!(examination.login, Login::Somebody { .. }) => log_in(name, workflow_of),
        Check::Login => log_in_again(name, &said, workflow_of),
        Check::Repository | Check::Push => push(examination, &said, workflow_of),
    }
}

fn is_busy(said: &str) -> bool {
    said.starts_with("429") || said.contains("toomanyrequests")
}

fn reach(name: &ImageName, said: &str) -> String {
    let domain = name.domain();
    if said.contains("certificate") || said.contains("unknownissuer") {
        return format!(
            "put the registry's authority into the file that SSL_CERT_FILE names, or into \
             `certs.d/{domain}/ca.crt` below /etc/docker or /etc/containers"
        );
    }
    if said.contains("tls") || said.contains("corrupt message") {
        return format!(
            "if `{domain}` speaks plain HTTP only, list it in DEPLOYCTL_INSECURE_REGISTRIES"
        );
    }
    format!("check the name `{domain}`, the network, and HTTPS_PROXY and NO_PROXY")
}

/// Returns how to get credentials for the registry.
fn log_in(name: &ImageName, workflow_of: Option<&str>) -> String {
    let domain = name.domain();
    match Vendor::of(name) {
        Vendor::GitHub if workflow_of.is_some() => format!(
            "give the job `permissions: packages: write` and log in before: \
             `docker/login-action` with registry `{domain}`, user `${{{{ github.actor }}}}`, password \
             `${{{{ github.token }}}}`"
        ),
        Vendor::GitHub => format!(
            "make a personal access token (classic) with `write:packages`, then \
             `docker login {domain} --username YOUR-NAME --password-stdin`"
        ),
        Vendor::Aws => format!(
            "`aws ecr get-login-password --region {} | docker login --username AWS \
             --password-stdin {domain}`; or the credential helper `ecr-login`",
            region(domain)
        ),
        Vendor::Google => format!("`gcloud auth configure-docker {domain}`"),
        Vendor::Azure => {
            format!("`az acr login --name {}`", domain.split('.').next().unwrap_or(domain))
        }
        Vendor::DockerHub => "`docker login` with an access token that may write".to_owned(),
        Vendor::Other => format!("`docker login {domain}`"),
    }
}

fn log_in_again(name: &ImageName, said: &str, workflow_of: Option<&str>) -> String {
    let again = log_in(name, workflow_of);
    match Vendor::of(name) {
        Vendor::Aws if said.contains("expired") => {
            format!("the login has expired, they last 12 hours; log in again: {again}")
        }
        Vendor::Aws => format!("logins last 12 hours; log in again: {again}"),
        _ => format!("the credentials are wrong or have run out; log in again: {again}"),
    }
}

fn push(examination: &Examination, said: &str, workflow_of: Option<&str>) -> String {
    let name = &examination.name;
    let (domain, path) = (name.domain(), name.path());
    let is_unknown = said.contains("name_unknown")
        || said.contains("not found")
        || said.contains("does not exist");
    let lacks_push =
        examination.granted.as_ref().is_some_and(|granted| !granted.iter().any(|a| a == "push"));
    match Vendor::of(name) {
        Vendor::Aws if is_unknown => format!(
            "there is no such repository: `aws ecr create-repository --repository-name {path} \
             --region {}`",
            region(domain)
        ),
        Vendor::Aws if said.contains("expired") => log_in_again(name, said, workflow_of),
        Vendor::Aws => "the role lacks `ecr:InitiateLayerUpload`, `ecr:UploadLayerPart`, \
             `ecr:CompleteLayerUpload`, `ecr:BatchCheckLayerAvailability` or `ecr:PutImage` on the \
             repository"
            .to_owned(),
        Vendor::Google if is_unknown => format!(
            "there is no such repository: `gcloud artifacts repositories create {} \
             --repository-format=docker`",
            path.split('/').nth(1).unwrap_or(path)
        ),
        Vendor::Google => {
            "the account lacks `roles/artifactregistry.writer` on the repository".to_owned()
        }
        Vendor::Azure => "the account lacks the role `AcrPush` on the registry".to_owned(),
        Vendor::GitHub => github(examination, said, workflow_of),
        Vendor::DockerHub => format!(
            "the account may not write to `{path}`, the access token is read-only, or the plan \
             allows no further private repository"
        ),
        Vendor::Other if is_unknown => {
            format!("make the repository or project `{path}` in the registry first")
        }
        Vendor::Other if lacks_push => {
            format!("give the account the right to push to `{path}`")
        }
        Vendor::Other => format!(
            "look up in the registry who may push to `{path}`, and whether a quota is used up"
        ),
    }
}

fn github(examination: &Examination, said: &str, workflow_of: Option<&str>) -> String {
    let path = examination.name.path();
    let owner = path.split('/').next().unwrap_or(path);
    if said.contains("scope") {
        return "the token lacks `write:packages`; make one that has it".to_owned();
    }
    let Some(repository) = workflow_of else {
        return format!(
            "the token needs `write:packages`, and its owner the role Write on the package `{path}` \
             (its settings, \"Manage access\")"
        );
    };
    if !repository.split('/').next().is_some_and(|of| of.eq_ignore_ascii_case(owner)) {
        return format!(
            "the token of a workflow of `{repository}` can't write packages of `{owner}`: use a \
             personal access token with `write:packages`"
        );
    }
    let permission = "the job needs `permissions: packages: write`";
    match &examination.pull {
        // The package is there, so what is missing is the right to write to it.
        Ok(true) => format!(
            "{permission}; and as `{path}` is there already, perhaps pushed by hand, it must know \
             the repository: its settings, \"Manage Actions access\", add `{repository}` with the \
             role Write"
        ),
        _ => format!(
            "{permission}; if the package is there but private, its settings, \"Manage Actions \
             access\", must list `{repository}` with the role Write; an organization can also forbid \
             making packages"
        ),
    }
}

/// Returns the region in the domain of an ECR registry.
fn region(domain: &str) -> &str {
    domain.split('.').skip_while(|part| !part.starts_with("ecr")).nth(1).unwrap_or("REGION")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROBOT: fn() -> Login =
        || Login::Somebody { user: Some("robot".to_owned()), place: "a file".to_owned() };

    fn examination(name: &str, login: Login) -> Examination {
        Examination {
            name: name.parse().unwrap(),
            scheme: "https".to_owned(),
            reached: Ok(()),
            login,
            granted: None,
            pull: Ok(false),
            push: Ok(()),
            pulls_left: None,
        }
    }

    fn denied(words: &str) -> RegistryError {
        RegistryError::Denied {
            registry: String::new(),
            repository: String::new(),
            reason: words.to_owned(),
        }
    }

    #[track_caller]
    fn push_refused(name: &str, words: &str, workflow_of: Option<&str>, expected: &str) {
        let push = Err(denied(words));
        let examination = Examination { push, ..examination(name, ROBOT()) };
        let advice = on(Check::Push, &examination, workflow_of);
        assert!(advice.contains(expected), "{advice}");
    }

    const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/web";

    #[test]
    fn each_registry_s_refusal_has_its_own_way_out() {
        push_refused(
            ECR,
            "404 Not Found: NAME_UNKNOWN",
            None,
            "create-repository --repository-name shop/web --region eu-west-1",
        );
        push_refused(ECR, "denied: Your authorization token has expired.", None, "12 hours");
        push_refused(ECR, "403 Forbidden: DENIED", None, "ecr:PutImage");
        push_refused("europe-docker.pkg.dev/p/repo/web", "403", None, "artifactregistry.writer");
        push_refused(
            "europe-docker.pkg.dev/p/repo/web",
            "NAME_UNKNOWN",
            None,
            "repositories create repo",
        );
        push_refused("shop.azurecr.io/web", "403", None, "AcrPush");
        push_refused("shop/web", "insufficient_scope", None, "read-only");
        push_refused(
            "registry.example.com/shop/web",
            "404: NAME_UNKNOWN project",
            None,
            "make the",
        );
    }

    #[test]
    fn github_s_one_message_is_told_apart_by_what_is_around_it() {
        let words = "403 Forbidden: DENIED permission_denied: write_package";
        let image = "ghcr.io/shop/web";
        push_refused(image, words, None, "Manage access");
        push_refused(image, words, Some("other/web"), "personal access token");
        push_refused(image, words, Some("Shop/web"), "`permissions: packages: write`");
        push_refused(image, "token does not match expected scopes", None, "lacks `write:packages`");
        let examination =
            Examination { push: Err(denied(words)), pull: Ok(true), ..examination(image, ROBOT()) };
        let advice = on(Check::Push, &examination, Some("shop/web"));
        assert!(advice.contains("Manage Actions access"), "{advice}");
    }

    #[test]
    fn who_is_nobody_hears_how_to_log_in() {
        let nobody = || Login::Nobody { looked_in: "no file".to_owned() };
        for (name, expected) in [
            (ECR, "get-login-password --region eu-west-1"),
            ("ghcr.io/shop/web", "write:packages"),
            ("europe-docker.pkg.dev/p/r/web", "gcloud auth configure-docker"),
            ("shop.azurecr.io/web", "az acr login --name shop"),
            ("registry.example.com/web", "docker login registry.example.com"),
        ] {
            let push = Err(denied("401 Unauthorized"));
            let advice =
                on(Check::Push, &Examination { push, ..examination(name, nobody()) }, None);
            assert!(advice.contains(expected), "{advice}");
        }
    }

    #[test]
    fn a_registry_out_of_reach_is_told_by_its_cause() {
        for (words, expected) in [
            ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
            ("received corrupt message of type InvalidContentType", "INSECURE_REGISTRIES"),
            ("failed to lookup address information", "HTTPS_PROXY"),
        ] {
            let reached = Err(RegistryError::Unreachable {
                registry: String::new(),
                reason: words.to_owned(),
            });
            let examination =
                Examination { reached, ..examination("registry.example.com/web", ROBOT()) };
            let advice = on(Check::Reach, &examination, None);
            assert!(advice.contains(expected), "{advice}");
        }
    }
}
