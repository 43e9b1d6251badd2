//! The control plane's certificates and keys, made anew for each run.

use std::fs::write;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

/// Writes `ca.crt`, `api.crt`, `api.key`, and the key pair `sa.key`, `sa.pub` that service account
/// tokens are signed with.
pub(super) fn write_all(home: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let names = ["localhost", "kubernetes", "kubernetes.default.svc", "127.0.0.1", "10.0.0.1"];
    let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    write(home.join("ca.crt"), authority.pem()).unwrap();
    write(home.join("api.crt"), certificate.pem()).unwrap();
    write(home.join("api.key"), key.serialize_pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    write(home.join("sa.key"), key.serialize_pem()).unwrap();
    write(home.join("sa.pub"), key.public_key_pem()).unwrap();
}
