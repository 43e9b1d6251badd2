//! `digest-pinned`: every image of the overlay's pods has a digest, not only the one that changes.

use super::Said;
use crate::promotion::facts::ServiceFacts;

pub(super) fn judge(service: &ServiceFacts) -> Said {
    match service.unpinned.as_deref() {
        Ok([]) => Said::open("every image has a digest"),
        Ok([one]) => Said::closed(format!("{one} has no digest")),
        Ok(images) => Said::closed(format!("{} have no digest", images.join(", "))),
        Err(reason) => Said::unknown(reason),
    }
}

#[cfg(test)]
mod tests {
    use crate::promotion::facts::{Facts, ServiceFacts};
    use crate::promotion::gates::Gate;
    use crate::promotion::gates::facts::{line, service};

    fn said(unpinned: Result<&[&str], &str>) -> String {
        let owned = |images: &[&str]| images.iter().map(|&image| image.to_owned()).collect();
        let unpinned = unpinned.map(owned).map_err(str::to_owned);
        let service = ServiceFacts { unpinned, ..service() };
        let facts = Facts::new("2026-11-22T12:00:00Z".parse().unwrap(), Some("dev"), vec![service]);
        line(&Gate::DigestPinned, &facts)
    }

    #[test]
    fn the_images_without_digest_are_named() {
        assert_eq!(said(Ok(&[])), "open: every image has a digest");
        assert_eq!(said(Ok(&["envoy:1"])), "closed: envoy:1 has no digest");
        assert_eq!(said(Ok(&["envoy:1", "b"])), "closed: envoy:1, b have no digest");
        assert_eq!(said(Err("no kustomize")), "unknown: no kustomize");
    }
}
