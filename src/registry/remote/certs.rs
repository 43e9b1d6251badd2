//! Certificates for single registries, in folders as docker and podman lay them out:
//! `certs.d/HOST:PORT/` with authorities in `*.crt` and, for a registry that wants to know who asks by
//! a certificate, pairs of `NAME.cert` and `NAME.key`.

use camino::{Utf8Path, Utf8PathBuf};
use reqwest::{Certificate, Identity};
use url::Url;

use super::http::deepest;
use crate::system::Environment;

/// The folders that hold a folder a registry.
pub(super) struct CertificateFolders(Vec<Utf8PathBuf>);

/// What one registry's folders hold.
#[derive(Default)]
pub(super) struct Certificates {
    /// Who may vouch for the registry, beside those whom the machine trusts.
    pub(super) authorities: Vec<Certificate>,
    /// What proves who is asking.
    pub(super) identity: Option<Identity>,
}

impl CertificateFolders {
    /// Returns the user's folders, then the machine's (`containers-certs.d(5)`; docker's, of which a
    /// daemon without root has its own).
    pub(super) fn new(environment: &Environment) -> Self {
        let home = || Some(Utf8PathBuf::from(environment.get("HOME")?).join(".config"));
        let own = environment.get("XDG_CONFIG_HOME").map(Utf8PathBuf::from).or_else(home);
        let roots = own.into_iter().chain([Utf8PathBuf::from("/etc")]);
        let folders = roots.flat_map(|root| {
            ["containers/certs.d", "docker/certs.d"].map(|folder| root.join(folder))
        });
        Self(folders.collect())
    }

    /// Returns what is there for the registry at `url`, or `None` if there is no folder for it.
    ///
    /// # Errors
    ///
    /// Says which file can't be used.
    pub(super) fn find(&self, url: &Url) -> Result<Option<Certificates>, String> {
        let host = url.host_str().filter(|host| !host.starts_with('.')).unwrap_or_default();
        let names = match url.port() {
            _ if host.is_empty() => Vec::new(),
            Some(port) => vec![format!("{host}:{port}")],
            None => vec![host.to_owned(), format!("{host}:443")],
        };
        let mut found: Option<Certificates> = None;
        for (folder, name) in self.0.iter().flat_map(|at| names.iter().map(move |name| (at, name)))
        {
            let folder = folder.join(name);
            if folder.is_dir() {
                found.get_or_insert_default().add(&folder)?;
            }
        }
        Ok(found)
    }
}

impl Certificates {
    fn add(&mut self, folder: &Utf8Path) -> Result<(), String> {
        let failed = |error| format!("can't read `{folder}`: {error}");
        let mut files = Vec::new();
        for entry in folder.read_dir_utf8().map_err(failed)? {
            files.push(entry.map_err(failed)?.into_path());
        }
        files.sort();
        for file in files {
            match file.extension() {
                Some("crt") => {
                    let authorities = Certificate::from_pem_bundle(&read(&file)?);
                    self.authorities.extend(authorities.map_err(|error| broken(&file, &error))?);
                }
                Some("cert") if self.identity.is_none() => self.identity = Some(identity(&file)?),
                _ => {}
            }
        }
        Ok(())
    }
}

fn identity(certificate: &Utf8Path) -> Result<Identity, String> {
    let mut pem = read(certificate)?;
    pem.push(b'\n');
    pem.extend(read(&certificate.with_extension("key"))?);
    Identity::from_pem(&pem).map_err(|error| broken(certificate, &error))
}

fn read(file: &Utf8Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("can't read `{file}`: {error}"))
}

fn broken(file: &Utf8Path, error: &reqwest::Error) -> String {
    format!("`{file}` can't be used: {}", deepest(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(folders: &CertificateFolders, url: &str) -> Result<Option<Certificates>, String> {
        folders.find(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_registrys_folder_has_its_port_in_the_name() {
        let home = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(home.path()).unwrap();
        let folder = home.join("docker/certs.d/registry.example.com:5000");
        std::fs::create_dir_all(&folder).unwrap();
        let environment = Environment::from_iter([("XDG_CONFIG_HOME", home.as_str())]);
        let folders = CertificateFolders::new(&environment);
        assert!(find(&folders, "https://registry.example.com:5000/v2/").unwrap().is_some());
        assert!(find(&folders, "https://registry.example.com/v2/").unwrap().is_none());
        assert!(find(&folders, "https://other.example.com:5000/v2/").unwrap().is_none());
        std::fs::write(folder.join("client.cert"), "x").unwrap();
        let error = find(&folders, "https://registry.example.com:5000/").err().unwrap();
        assert!(error.contains("client.key"), "{error}");
    }
}
