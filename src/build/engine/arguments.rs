//! Build arguments: to the engine by name, and their values by its environment, so that they are not
//! read by whoever lists processes.
//!
//! docker, buildah and podman all take `--build-arg NAME` for the environment variable of that name
//! (docker's reference of `docker buildx build`, `--build-arg`; `readBuildArg` in buildah's `pkg/cli`,
//! which podman repeats), an empty one included. A build argument is no secret for all that: it is in
//! the image's history.
//!
//! A variable has other readers, too: the engine, and the programs that it starts. So the value stands
//! in the argument, as it always may, where a variable of its name could mean something to them:
//!
//! - where the environment has one of that name already, which a secret may be taken from, unless it
//!   has the same value;
//! - where the name is one that engines, their libraries, credential helpers, `git` or `ssh` read, in
//!   whatever case: a proxy that the steps are to have need not be one that the engine has to take;
//! - where the name is not that of a variable.

use crate::image::Dockerfile;
use crate::system::{Command, Environment};

/// What the names of variables begin with that engines and the programs beside them read.
const PREFIXES: &[&str] = &[
    "_CONTAINERS_",
    "AARDVARK_",
    "ACTIONS_",
    "AWS_",
    "AZURE_",
    "BUILDAH_",
    "BUILDKIT_",
    "BUILDX_",
    "CLOUDSDK_",
    "CNI_",
    "CONTAINER",
    "DBUS_",
    "DOCKER",
    "EXPERIMENTAL_",
    "GIT_",
    "GLIBC_",
    "GOOGLE_",
    "GPG_",
    "GRPC_",
    "LC_",
    "LD_",
    "LIBPOD_",
    "LISTEN_",
    "MALLOC_",
    "MOBY_",
    "NETAVARK_",
    "NOTIFY_",
    "OTEL_",
    "PERL5",
    "PODMAN",
    "PYTHON",
    "REGISTRIES_",
    "SSH_",
    "SSL_CERT_",
    "STORAGE_",
    "XDG_",
];

/// Further names of variables that they, or the system's libraries and shells, read.
const NAMES: &[&str] = &[
    "ALL_PROXY",
    "BASH_ENV",
    "BUILD_REGISTRY_SOURCES",
    "COLUMNS",
    "ENV",
    "FTP_PROXY",
    "GNUPGHOME",
    "GODEBUG",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "GOTRACEBACK",
    "HOME",
    "HOSTALIASES",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "KUBECONFIG",
    "LANG",
    "LANGUAGE",
    "LOCALDOMAIN",
    "LOGNAME",
    "NODE_OPTIONS",
    "NO_COLOR",
    "NO_PROXY",
    "PATH",
    "PWD",
    "REGISTRY_AUTH_FILE",
    "RES_OPTIONS",
    "SHELL",
    "SOURCE_DATE_EPOCH",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "TZDIR",
    "USER",
];

/// Returns the command with the Dockerfile's build arguments passed on to it; `environment` is the one
/// that it runs in.
pub(super) fn pass_on(
    command: Command,
    dockerfile: &Dockerfile,
    environment: &Environment,
) -> Command {
    dockerfile.args.iter().fold(command, |command, (name, value)| {
        let command = command.arg("--build-arg");
        let there = environment.get(name);
        if is_free(name) && there.is_none_or(|there| there == value) {
            command.arg(name).env(name, value)
        } else {
            command.arg(format!("{name}={value}"))
        }
    })
}

/// Returns whether a variable of that name means nothing to an engine.
fn is_free(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_letter)
        && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
        && !NAMES.contains(&upper.as_str())
        && !PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_reads_by_itself_is_not_set_for_it() {
        for free in ["VERSION", "NPM_TOKEN", "GO_VERSION", "a1", "_x", "BUILD_DATE", "REGISTRY"] {
            assert!(is_free(free), "{free}");
        }
        for taken in [
            "PATH",
            "http_proxy",
            "No_Proxy",
            "DOCKER_HOST",
            "BUILDAH_ISOLATION",
            "CONTAINERS_CONF",
            "LD_PRELOAD",
            "GIT_SSH_COMMAND",
            "SOURCE_DATE_EPOCH",
            "",
            "1A",
            "a-b",
            "a.b",
            "ä",
        ] {
            assert!(!is_free(taken), "{taken}");
        }
    }

    #[tokio::test]
    async fn a_value_is_in_the_environment_or_else_in_the_argument() {
        let environment: Environment =
            [("PATH", "/usr/bin:/bin"), ("SAME", "1"), ("OTHER", "2")].into_iter().collect();
        let pairs = [("A", "b c"), ("EMPTY", ""), ("HOME", "h"), ("OTHER", "3"), ("SAME", "1")];
        let args = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let dockerfile = Dockerfile { args, ..Dockerfile::default() };
        let script = "echo \"$* | $A | ${EMPTY-unset} | $OTHER | $SAME | ${HOME-unset}\"";
        let shell = Command::new("sh").only_env(&environment).args(["-c", script, "sh"]);
        let output = pass_on(shell, &dockerfile, &environment).output().await.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "--build-arg A --build-arg EMPTY --build-arg HOME=h --build-arg OTHER=3 \
             --build-arg SAME | b c |  | 2 | 1 | unset\n"
        );
    }
}
