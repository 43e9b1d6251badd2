//! Which cluster: a kubeconfig's context, or the cluster that this process runs in.
//!
//! The kubeconfig is found by the [`Environment`] that is passed in; the kube crate's own reading of
//! the process environment is not used.

use std::time::Duration;

use camino::Utf8PathBuf;
use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::proxy;
use crate::cluster::ClusterError;
use crate::system::Environment;

/// Where a pod finds the credentials of its service account. See the Kubernetes documentation,
/// "Accessing the Kubernetes API from a Pod".
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Returns how to talk to the cluster: by `context` (the current one if `None`) of the kubeconfig
/// that `KUBECONFIG` or `~/.kube/config` is, or, without a kubeconfig, as a service account.
pub(super) async fn config(
    environment: &Environment,
    context: Option<&str>,
) -> Result<Config, ClusterError> {
    let mut config = match kubeconfig(environment)? {
        Some(kubeconfig) => of_context(kubeconfig, context, environment).await?,
        None => in_cluster(environment, context)?,
    };
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(Duration::from_secs(30));
    config.reset_reader_on_write = true;
    Ok(config)
}

fn kubeconfig(environment: &Environment) -> Result<Option<Kubeconfig>, ClusterError> {
    let named = environment.get("KUBECONFIG");
    let paths: Vec<Utf8PathBuf> = match named {
        Some(list) => list.split(':').filter(|path| !path.is_empty()).map(Into::into).collect(),
        None => environment
            .get("HOME")
            .map(|home| [home, ".kube/config"].iter().collect())
            .into_iter()
            .collect(),
    };
    // As kubectl does: of several files, those that are not there are passed over.
    let there: Vec<_> = paths.iter().filter(|path| path.exists()).collect();
    match named {
        Some(list) if there.is_empty() => {
            return wrong(format!("`KUBECONFIG` is `{list}`, and there is no such file"));
        }
        _ if there.is_empty() => return Ok(None),
        _ => {}
    }
    let mut merged = Kubeconfig::default();
    for path in there {
        // The parser's message may quote the line, and the line may be a token.
        let unreadable = |_| wrong_error(format!("`{path}` can't be read as a kubeconfig"));
        let next = Kubeconfig::read_from(path).map_err(unreadable)?;
        merged = merged.merge(next).map_err(unreadable)?;
    }
    Ok(Some(merged))
}

async fn of_context(
    kubeconfig: Kubeconfig,
    context: Option<&str>,
    environment: &Environment,
) -> Result<Config, ClusterError> {
    let mut known: Vec<_> = kubeconfig.contexts.iter().map(|known| known.name.clone()).collect();
    known.sort();
    let known = match known.join("`, `") {
        none if none.is_empty() => "the kubeconfig has no contexts".to_owned(),
        names => format!("the kubeconfig has `{names}`"),
    };
    let Some(name) = context.or(kubeconfig.current_context.as_deref()).map(str::to_owned) else {
        return wrong(format!("no context is named and none is current; {known}"));
    };
    if !kubeconfig.contexts.iter().any(|known| known.name == name) {
        return wrong(format!("there is no context `{name}`; {known}"));
    }
    let options = KubeConfigOptions { context: Some(name.clone()), ..Default::default() };
    let names_proxy = names_proxy(&kubeconfig, &name);
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| wrong_error(format!("context `{name}`: {error}")))?;
    proxy::pass_by(&mut config, names_proxy, environment)?;
    Ok(config)
}

/// Returns whether the kubeconfig names a proxy to the cluster of the context.
fn names_proxy(kubeconfig: &Kubeconfig, context: &str) -> bool {
    let context = kubeconfig.contexts.iter().find(|known| known.name == context);
    let cluster = context.and_then(|known| known.context.as_ref()).map(|context| &context.cluster);
    let mut clusters = kubeconfig.clusters.iter().filter(|known| Some(&known.name) == cluster);
    let cluster = clusters.next().and_then(|known| known.cluster.as_ref());
    cluster.and_then(|cluster| cluster.proxy_url.as_ref()).is_some_and(|url| !url.is_empty())
}

fn in_cluster(environment: &Environment, context: Option<&str>) -> Result<Config, ClusterError> {
    let nothing = "there is no kubeconfig (`KUBECONFIG`, `~/.kube/config`)";
    if let Some(context) = context {
        return no_cluster(format!("{nothing}, so there is no context `{context}`"));
    }
    let host = environment.get("KUBERNETES_SERVICE_HOST");
    let port = environment.get("KUBERNETES_SERVICE_PORT");
    let (Some(host), Some(port)) = (host, port) else {
        return no_cluster(format!("{nothing}, and this is not a pod of a cluster"));
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let url = format!("https://{host}:{port}");
    let parsed = url.parse().map_err(|_| no_cluster_error(format!("`{url}` is not a URL")))?;
    let mut config = Config::new(parsed);
    let namespace = std::fs::read_to_string(format!("{SERVICE_ACCOUNT}/namespace"));
    config.default_namespace = namespace.unwrap_or_else(|_| "default".to_owned());
    // The file is read again when the authority changes. That alone is not enough: without an authority
    // to begin with, kube asks for the system's, and an image may have none.
    let authority = format!("{SERVICE_ACCOUNT}/ca.crt");
    config.root_cert = Some(certificates(&authority)?);
    config.root_cert_file = Some(authority.into());
    let token_file = Some(format!("{SERVICE_ACCOUNT}/token"));
    config.auth_info = AuthInfo { token_file, ..Default::default() };
    Ok(config)
}

fn certificates(path: &str) -> Result<Vec<Vec<u8>>, ClusterError> {
    let unreadable = |error| no_cluster_error(format!("`{path}` has no certificates: {error}"));
    let read = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    read.map(|certificate| Ok(certificate.map_err(unreadable)?.to_vec())).collect()
}

fn no_cluster<T>(reason: String) -> Result<T, ClusterError> {
    Err(no_cluster_error(reason))
}

fn no_cluster_error(reason: String) -> ClusterError {
    ClusterError::NoCluster { reason }
}

fn wrong<T>(reason: String) -> Result<T, ClusterError> {
    Err(wrong_error(reason))
}

fn wrong_error(reason: String) -> ClusterError {
    ClusterError::Kubeconfig { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "apiVersion: v1\nkind: Config\ncurrent-context: b\n\
        clusters: [{name: c, cluster: {server: 'https://192.0.2.1:6443'}}]\n\
        users: [{name: u, user: {token: canary-token}}]\n\
        contexts: [{name: b, context: {cluster: c, user: u, namespace: shop}}, {name: a, context: {cluster: c, user: u}}]\n";

    async fn with(text: &str, context: Option<&str>) -> Result<Config, String> {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("kubeconfig");
        std::fs::write(&file, text).unwrap();
        let environment = [("KUBECONFIG", file.to_str().unwrap())].into_iter().collect();
        let hide = |error: ClusterError| error.to_string().replace(file.to_str().unwrap(), "FILE");
        config(&environment, context).await.map_err(hide)
    }

    #[tokio::test]
    async fn the_context_is_the_named_one_or_the_current_one() {
        assert_eq!(with(TWO, None).await.unwrap().default_namespace, "shop");
        assert_eq!(with(TWO, Some("a")).await.unwrap().default_namespace, "default");
    }

    #[tokio::test]
    async fn an_unknown_context_is_answered_with_the_known_ones() {
        assert_eq!(
            with(TWO, Some("prod")).await.unwrap_err(),
            "no cluster to talk to: there is no context `prod`; the kubeconfig has `a`, `b`"
        );
    }

    #[tokio::test]
    async fn a_broken_kubeconfig_does_not_show_its_lines() {
        assert_eq!(
            with("users: [{name: u, user: {token: canary-token", None).await.unwrap_err(),
            "no cluster to talk to: `FILE` can't be read as a kubeconfig"
        );
    }

    #[tokio::test]
    async fn a_proxy_of_the_kubeconfig_is_told_without_its_password() {
        let proxy = "server: 'https://192.0.2.1:6443', proxy-url: 'http://u:canary@192.0.2.9:3128'";
        let text = TWO.replace("server: 'https://192.0.2.1:6443'", proxy);
        let error = with(&text, None).await.unwrap_err();
        assert!(error.contains("`proxy-url` names one at `192.0.2.9`"), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }

    #[tokio::test]
    async fn without_kubeconfig_and_pod_there_is_no_cluster() {
        let home = [("HOME", "/nonexistent")].into_iter().collect();
        assert_eq!(
            config(&home, None).await.unwrap_err().to_string(),
            "no cluster to talk to: there is no kubeconfig (`KUBECONFIG`, `~/.kube/config`), and this is not a pod of a cluster"
        );
    }
}
