//! `deployctl verify` without a manifests repository, and of a configuration no more than its health
//! rules: of an Application, or of objects that somebody rendered. So it runs in a cluster, as a hook or
//! as a job.

use std::collections::BTreeSet;

use super::VerifyArgs;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::objects;
use crate::cli::ui::Ui;
use crate::cluster::{Live, Scope};
use crate::image::PinnedImage;
use crate::k8s::{Object, pod_images};
use crate::ops::{self, Event, VerifyOptions};
use crate::registry::Resolver;
use crate::report::VerifyReport;

/// Verifies what the arguments name and returns how the rollout ended.
pub(super) async fn verify(
    args: &VerifyArgs,
    context: &Context,
    ui: &Ui,
) -> Result<VerifyReport, CommandError> {
    let scope =
        Scope { application: args.application.clone(), objects: objects::read(&args.files)? };
    let image = args.image.clone().or_else(|| stated(&scope.objects));
    let arguments = args.rules.configured(context)?;
    let service = name(args);
    args.check_record(&service)?;
    let live = Live::connect(&context.environment, args.context.as_deref()).await?;
    let registry = context.registry().ok();
    let environment = args.context.clone().unwrap_or_else(|| "the cluster".to_owned());
    let rules = arguments.of_cluster(&live, scope.application.as_ref(), ui).await?;
    let options = VerifyOptions {
        image,
        // A template fills in an empty text where nobody names a revision.
        revision: args.revision.clone().filter(|revision| !revision.is_empty()),
        within_sync: args.within_sync,
        rules,
        timeout: args.timeout,
        settle: args.settle,
        accepts: args.accepts(),
        sync: args.sync,
        fail_fast: args.fail_fast,
        registry: registry.as_ref().map(|registry| registry as &dyn Resolver),
        ..VerifyOptions::new(&environment, &service, scope)
    };
    let emit = |moment| ui.event(&Event::Verify { service: service.clone(), moment });
    let rollout = match &args.record {
        Some(dir) => ops::record(&live, &options, &dir.join(&service), &emit).await?,
        None => ops::verify(&live, &options, &emit).await?,
    };
    Ok(VerifyReport { environment: environment.clone(), rollouts: vec![rollout] })
}

/// Returns the image that the objects pin, if it is one and no more: which of several is the one that
/// matters, nobody says.
fn stated(objects: &[Object]) -> Option<PinnedImage> {
    let images = pod_images(objects);
    let pinned: BTreeSet<_> =
        images.iter().map(|found| &*found.image).filter(|image| image.contains('@')).collect();
    let [image] = pinned.into_iter().collect::<Vec<_>>()[..] else { return None };
    image.parse().ok()
}

/// What people call it: the Application, else the files.
pub(super) fn name(args: &VerifyArgs) -> String {
    if let Some(application) = &args.application {
        return application.name.clone();
    }
    let stem = |file: &camino::Utf8PathBuf| match file.as_str() {
        "-" => "standard-input".to_owned(),
        _ => file.file_stem().unwrap_or("objects").to_owned(),
    };
    args.files.iter().map(stem).collect::<Vec<_>>().join(",")
}
