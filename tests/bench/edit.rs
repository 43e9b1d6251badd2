//! How long an edit of a long kustomization takes: 500 images, some hundred lines of other things.

#![allow(missing_docs)]

use deployctl::kustomize::{ImageChange, Rules, set_image, set_images};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn main() {
    divan::main();
}

fn long_file() -> String {
    let resources: String = (0..300).map(|i| format!("- ../base/service-{i} # {i}\n")).collect();
    let image = |i| format!("- name: registry.example.com/shop/n{i}\n  newTag: v1 # why\n");
    let images: String = (0..500).map(image).collect();
    format!("# The shop.\nresources:\n{resources}\nimages:\n{images}# end\n")
}

fn pin(number: usize) -> ImageChange {
    let name = format!("registry.example.com/shop/n{number}");
    let image = format!("{name}:v2@{DIGEST}").parse().expect("this is a pinned image");
    ImageChange::pin(name, image)
}

#[divan::bench]
fn one_of_500_images(bencher: divan::Bencher<'_, '_>) {
    let (text, change) = (long_file(), [pin(250)]);
    bencher.bench(|| set_images(text.as_bytes(), &change));
}

#[divan::bench]
fn all_of_500_images(bencher: divan::Bencher<'_, '_>) {
    let (text, changes) = (long_file(), (0..500).map(pin).collect::<Vec<_>>());
    bencher.bench(|| set_images(text.as_bytes(), &changes));
}

#[divan::bench]
fn into_an_empty_list_500_images(bencher: divan::Bencher<'_, '_>) {
    let changes = (0..500).map(pin).collect::<Vec<_>>();
    bencher.bench(|| set_images(b"images: []\n", &changes));
}

#[divan::bench]
fn by_kustomizes_rules_500_more_images(bencher: divan::Bencher<'_, '_>) {
    let text = long_file();
    let arguments: Vec<String> = (0..500).map(|i| format!("m{i}=x:v{i}")).collect();
    bencher.bench(|| set_image(text.as_bytes(), &arguments, Rules::Kustomize));
}
