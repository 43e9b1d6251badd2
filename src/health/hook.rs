//! Which objects are hooks of a sync, by Argo CD's and Helm's annotations.

use crate::k8s::Object;

const ARGO_HOOK: &str = "argocd.argoproj.io/hook";
const HELM_HOOK: &str = "helm.sh/hook";
const ARGO_HOOK_TYPES: [&str; 7] =
    ["PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete", "Skip"];

/// Returns whether the object is a hook; one that only says `Skip` is not.
pub(super) fn is_hook(object: &Object) -> bool {
    match object.annotation(ARGO_HOOK) {
        Some(_) => !is_skipped(object),
        // Helm 2 marked CRDs with the hook annotation, and they are ordinary resources.
        None => object.annotation(HELM_HOOK).is_some_and(|hook| hook != "crd-install"),
    }
}

/// Returns whether the object asks to be left out of the sync: `Skip` is its only valid hook type.
pub(super) fn is_skipped(object: &Object) -> bool {
    let annotation = object.annotation(ARGO_HOOK).unwrap_or_default();
    let mut types = annotation.split(',').map(str::trim).filter(|t| ARGO_HOOK_TYPES.contains(t));
    types.next() == Some("Skip") && types.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_hooks_from_skipped_and_ordinary_objects() {
        let check = |annotation: &str, hook: bool, skipped: bool| {
            let yaml = format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{annotations: {{{annotation}}}}}}}"
            );
            let object = Object::read_all(&yaml).unwrap().remove(0);
            assert_eq!((is_hook(&object), is_skipped(&object)), (hook, skipped), "{annotation}");
        };
        check("", false, false);
        check("argocd.argoproj.io/hook: PreSync", true, false);
        check("argocd.argoproj.io/hook: 'Skip'", false, true);
        check("argocd.argoproj.io/hook: 'Skip, nonsense'", false, true);
        check("argocd.argoproj.io/hook: 'Sync, Skip'", true, false);
        check("argocd.argoproj.io/hook: nonsense", true, false);
        check("helm.sh/hook: post-install", true, false);
        check("helm.sh/hook: crd-install", false, false);
    }
}
