//! Bringing an image that is built to where it goes: into its registry, and into docker.

use super::attestations;
use super::documents::Documents;
use super::make::Made;
use super::push::Push;
use super::{BuildError, BuildOptions, Built, Emit, Event, load, moving, records};

impl Made<'_> {
    /// Says that the image is to be stored. That is said as soon as it is built, whatever is said of the
    /// next one meanwhile.
    pub(super) fn announce(&self, options: &BuildOptions<'_>, emit: Emit<'_>) {
        if options.extent.pushes(self.service) {
            emit(Event::Storing { image: self.image.to_string() });
        }
    }

    /// Pushes the image, attaches what is to be attached, moves tags to it and loads it, as far as each is
    /// wanted.
    pub(super) async fn deliver(
        self,
        documents: &Documents,
        options: &BuildOptions<'_>,
        emit: Emit<'_>,
    ) -> Result<Built, BuildError> {
        let mut done = Built {
            service: self.service.name.clone(),
            image: self.image.clone(),
            size: self.built.blobs.iter().map(|blob| blob.size).sum(),
            pushed: false,
            reused: None,
            inputs: self.asked.digest(),
            layers: Vec::new(),
            attached: Vec::new(),
            moved: Vec::new(),
        };
        if options.extent.pushes(self.service) {
            self.store(&mut done, documents, options, emit).await?;
        } else if let Some(inputs) = &self.asked.inputs {
            records::remember(documents, &self.image, inputs);
        }
        if let Some(docker) = &self.docker {
            let (image, built) = (&self.image, &self.built);
            load::built(docker, image, built, &self.built_on, options, emit).await?;
        }
        Ok(done)
    }

    async fn store(
        &self,
        done: &mut Built,
        documents: &Documents,
        options: &BuildOptions<'_>,
        emit: Emit<'_>,
    ) -> Result<(), BuildError> {
        let (image, built) = (&self.image, &self.built);
        // With something to attach the tags come after it: what is found by a tag has all of it.
        let tags = if options.attacher.is_some() { &[] } else { self.tags.as_slice() };
        let (registry, bases, built_on) = (options.registry, options.bases, &self.built_on);
        let push = Push { registry, bases, documents, image, tags, built, built_on, emit };
        done.layers = push.run().await?;
        done.attached = attestations::attach(self, options, emit).await?;
        self.keep_record(documents, options, emit).await;
        let manifest = Some(&built.manifest);
        let source = &self.source;
        done.moved = moving::follow(self.service, image, manifest, source, options, emit).await?;
        done.pushed = true;
        Ok(())
    }

    /// Keeps the record of what the image was made of. The image is there, with or without it.
    async fn keep_record(&self, documents: &Documents, options: &BuildOptions<'_>, emit: Emit<'_>) {
        let Some(inputs) = &self.asked.inputs else { return };
        let (image, manifest) = (&self.image, &self.built.manifest);
        if let Err(error) = records::keep(options, documents, image, manifest, inputs).await {
            let text = format!("the record of what {image} was made of is not kept: {error}");
            emit(Event::Warning(text));
        }
    }
}
