//! A proxy to the API server, which this build does not speak to: when there is none in between, and
//! what to do when there is.
//!
//! The kube crate takes one from the kubeconfig, else from `HTTPS_PROXY`, and leaves `NO_PROXY` unread.

use std::net::IpAddr;

use kube::Config;

use crate::cluster::ClusterError;
use crate::system::Environment;

/// Takes a proxy of the environment out of `config` if it is not for the API server: that is on this
/// machine, or named by `NO_PROXY`.
///
/// # Errors
///
/// Fails if there is a proxy in between. Of its URL only the host is told.
pub(super) fn pass_by(
    config: &mut Config,
    is_of_kubeconfig: bool,
    environment: &Environment,
) -> Result<(), ClusterError> {
    let Some(proxy) = &config.proxy_url else { return Ok(()) };
    let server = config.cluster_url.host().unwrap_or_default();
    let server = server.trim_start_matches('[').trim_end_matches(']');
    let host = proxy.host().unwrap_or_default();
    let unsupported = "a proxy to the API server is not supported, and";
    if is_of_kubeconfig {
        let reason = format!(
            "{unsupported} the kubeconfig's `proxy-url` names one at `{host}`: remove it where \
             `{server}` can be reached without"
        );
        return Err(ClusterError::Kubeconfig { reason });
    }
    let except = ["no_proxy", "NO_PROXY"].iter().filter_map(|name| environment.get(name));
    let mut except = except.flat_map(|list| list.split(','));
    if is_loopback(server) || except.any(|entry| is_meant(entry.trim(), server)) {
        config.proxy_url = None;
        return Ok(());
    }
    let reason = format!(
        "{unsupported} `HTTPS_PROXY` names one at `{host}`: add `{server}` to `NO_PROXY` where it can \
         be reached without"
    );
    Err(ClusterError::Kubeconfig { reason })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Returns whether the `entry` of a `NO_PROXY` means the `host`: all hosts, a host and those below it, an
/// address, or a network.
fn is_meant(entry: &str, host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        let (network, bits) = entry.split_once('/').map_or((entry, None), |(n, b)| (n, Some(b)));
        let network = network.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let bits = bits.map_or(Ok(u32::MAX), str::parse::<u32>);
        let is_in = network.ok().zip(bits.ok()).is_some_and(|of| is_in(address, of));
        return entry == "*" || is_in;
    }
    let (entry, host) = (entry.to_ascii_lowercase(), host.to_ascii_lowercase());
    let name = entry.trim_start_matches("*.").trim_start_matches('.');
    let above = host.strip_suffix(name).filter(|_| !name.is_empty());
    entry == "*" || above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn is_in(address: IpAddr, (network, bits): (IpAddr, u32)) -> bool {
    let shared = |length: u32, differing: u128| {
        differing.checked_shr(length.saturating_sub(bits)).unwrap_or_default() == 0
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            shared(32, u128::from(address.to_bits() ^ network.to_bits()))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            shared(128, address.to_bits() ^ network.to_bits())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(server: &str, no_proxy: &str) -> Result<bool, String> {
        let mut config = Config::new(server.parse().unwrap());
        config.proxy_url = Some("http://u:canary@proxy.example.com:3128".parse().unwrap());
        let environment = [("NO_PROXY", no_proxy)].into_iter().collect();
        let passed = pass_by(&mut config, false, &environment);
        passed.map(|()| config.proxy_url.is_none()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_that_is_near_or_excepted_is_reached_without_proxy() {
        for (server, no_proxy) in [
            ("https://127.0.0.1:6443", ""),
            ("https://[::1]:6443", ""),
            ("https://localhost:6443", ""),
            ("https://api.example.com", "a, example.com"),
            ("https://api.example.com", ".example.com"),
            ("https://api.example.com", "*"),
            ("https://10.1.2.3", "10.0.0.0/8"),
            ("https://10.1.2.3", "10.1.2.3"),
            ("https://[fd00::1]:6443", "fd00::/8"),
        ] {
            assert_eq!(passed(server, no_proxy), Ok(true), "{server} {no_proxy}");
        }
    }

    #[test]
    fn a_proxy_in_between_is_told_without_its_password() {
        for (server, no_proxy) in [
            ("https://api.example.com", ""),
            ("https://myexample.com", "example.com"),
            ("https://10.1.2.3", "10.2.0.0/16,10.1.2.4,10,x/y,/"),
            ("https://[fd00::1]:6443", "10.0.0.0/8,::1"),
        ] {
            let error = passed(server, no_proxy).unwrap_err();
            assert!(error.contains("`HTTPS_PROXY` names one at `proxy.example.com`"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
        let mut config = Config::new("https://127.0.0.1".parse().unwrap());
        config.proxy_url = Some("http://u:canary@proxy.example.com".parse().unwrap());
        let error = pass_by(&mut config, true, &Environment::default()).unwrap_err().to_string();
        assert!(error.contains("`proxy-url`") && !error.contains("canary"), "{error}");
    }
}
