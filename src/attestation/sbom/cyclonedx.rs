//! The CycloneDX document, version 1.6. See <https://cyclonedx.org/docs/1.6/json/>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::package::{Package, encoded};
use super::{Found, Sbom};
use crate::image::{Digest, ImageName, PinnedImage};

pub(super) fn document(sbom: &Sbom, image: &PinnedImage, bases: &[PinnedImage]) -> Value {
    let described = component_of_image(&image.name, &image.digest);
    // Several platforms of one base are one image.
    let bases: BTreeSet<_> = bases.iter().map(|base| (&base.name, &base.digest)).collect();
    let bases = bases.into_iter().map(|(name, digest)| component_of_image(name, digest));
    let packages = sbom.packages.iter().map(|(package, found)| component(package, found));
    let components: Vec<_> = bases.chain(packages).collect();
    let properties: Vec<_> = sbom
        .gaps
        .iter()
        .map(|gap| json!({ "name": "deployctl:unread", "value": gap.to_string() }))
        .collect();
    // What a base image brings along is in no lock file.
    let compositions = json!([{ "aggregate": "incomplete", "assemblies": [described["bom-ref"]] }]);
    let mut metadata = json!({ "tools": { "components": [tool()] }, "component": described });
    if !properties.is_empty() {
        metadata["properties"] = properties.into();
    }
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "compositions": compositions,
    });
    document["serialNumber"] = serial_number(&document).into();
    document
}

fn tool() -> Value {
    json!({ "type": "application", "name": "deployctl", "version": env!("CARGO_PKG_VERSION") })
}

fn component_of_image(name: &ImageName, digest: &Digest) -> Value {
    let name = name.to_string();
    let last = name.rsplit('/').next().unwrap_or_default();
    let repository = encoded(&name, b":/");
    let purl = format!("pkg:oci/{last}@{digest}?repository_url={repository}");
    json!({
        "type": "container",
        "bom-ref": purl,
        "name": name,
        "version": digest.as_str(),
        "purl": purl,
    })
}

fn component(package: &Package, found: &Found) -> Value {
    let mut component = json!({ "type": "library", "bom-ref": package.purl });
    if let Some(namespace) = &package.namespace {
        component["group"] = namespace.as_str().into();
    }
    component["name"] = package.name.as_str().into();
    component["version"] = package.version.as_str().into();
    if !found.runs {
        component["scope"] = "excluded".into();
    }
    if let Some((algorithm, hex)) = &package.hash {
        component["hashes"] = json!([{ "alg": algorithm, "content": hex }]);
    }
    component["purl"] = package.purl.as_str().into();
    let files = found.files.iter().map(|file| json!({ "location": file.as_str() }));
    component["evidence"] = json!({ "occurrences": files.collect::<Vec<_>>() });
    component
}

/// Returns a number that is the content's own, so that the same content is the same document: a UUID
/// of version 8 (RFC 9562) out of its SHA-256.
fn serial_number(document: &Value) -> String {
    let digest = Digest::of(document.to_string().as_bytes());
    let hex = digest.hex();
    let variant = match hex.as_bytes()[16] {
        b'0' | b'4' | b'8' | b'c' => '8',
        b'1' | b'5' | b'9' | b'd' => '9',
        b'2' | b'6' | b'a' | b'e' => 'a',
        _ => 'b',
    };
    let (a, b, c) = (&hex[..8], &hex[8..12], &hex[13..16]);
    format!("urn:uuid:{a}-{b}-8{c}-{variant}{}-{}", &hex[17..20], &hex[20..32])
}
