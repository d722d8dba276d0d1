//! Takes out of definitions what the wanted messages do not need. Deprecated fields go, too, unless they are wanted.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::wanted::Wanted;

/// Reduces files to the wanted messages and what these contain.
pub(super) fn prune(files: Vec<FileDescriptorProto>, wanted: &Wanted) -> Result<Vec<FileDescriptorProto>> {
    let mut index = BTreeMap::new();
    for file in &files {
        for message in &file.message_type {
            index_messages(file.package(), message, &mut index);
        }
    }
    let maps = maps_left_out(&index, wanted);
    let wanted = &wanted.without(maps);
    let kept = reach(&index, wanted)?;
    let pruner = Pruner { kept, wanted };
    Ok(files.into_iter().filter_map(|file| pruner.file(file)).collect())
}

fn index_messages<'a>(
    scope: &str,
    message: &'a DescriptorProto,
    index: &mut BTreeMap<String, &'a DescriptorProto>,
) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        index_messages(&name, nested, index);
    }
    index.insert(name, message);
}

/// The entries of maps whose values are left out: the maps go with them.
fn maps_left_out(index: &BTreeMap<String, &DescriptorProto>, wanted: &Wanted) -> Vec<String> {
    let is_map = |entry: &DescriptorProto| entry.options.as_ref().is_some_and(|options| options.map_entry());
    let is_whole =
        |name: &str, entry: &DescriptorProto| entry.field.iter().all(|field| is_kept(name, field, wanted));
    let maps = index.iter().filter(|(name, entry)| is_map(entry) && !is_whole(name, entry));
    maps.map(|(name, _)| name.clone()).collect()
}

/// The full names of the messages and enumerations that the wanted ones need.
fn reach(index: &BTreeMap<String, &DescriptorProto>, wanted: &Wanted) -> Result<BTreeSet<String>> {
    let (mut kept, mut next) = (BTreeSet::new(), wanted.messages.clone());
    for name in &wanted.messages {
        if !index.contains_key(name) {
            bail!("messages.txt: there is no message {name}");
        }
    }
    while let Some(name) = next.pop() {
        let Some(message) = index.get(&name).filter(|_| !kept.contains(&name)) else {
            kept.insert(name);
            continue;
        };
        let fields = message.field.iter().filter(|field| is_kept(&name, field, wanted));
        next.extend(fields.filter(|field| field.type_name.is_some()).map(type_of));
        kept.insert(name);
    }
    Ok(kept)
}

fn type_of(field: &FieldDescriptorProto) -> String {
    field.type_name().trim_start_matches('.').to_owned()
}

fn is_kept(message: &str, field: &FieldDescriptorProto, wanted: &Wanted) -> bool {
    let is_deprecated = field.options.as_ref().is_some_and(|options| options.deprecated());
    let name = format!("{message}.{}", field.name());
    (!is_deprecated || wanted.keeps(&name))
        && !wanted.leaves_out(&name)
        && !wanted.leaves_out(&type_of(field))
}

struct Pruner<'a> {
    kept: BTreeSet<String>,
    wanted: &'a Wanted,
}

impl Pruner<'_> {
    fn file(&self, mut file: FileDescriptorProto) -> Option<FileDescriptorProto> {
        let package = file.package().to_owned();
        file.message_type.retain_mut(|message| self.message(&package, message));
        file.enum_type.retain(|own| self.kept.contains(&format!("{package}.{}", own.name())));
        (file.service, file.extension) = (Vec::new(), Vec::new());
        (file.dependency, file.public_dependency, file.source_code_info) = (Vec::new(), Vec::new(), None);
        (!file.message_type.is_empty() || !file.enum_type.is_empty()).then_some(file)
    }

    /// Reduces a message. Returns whether anything of it is needed.
    fn message(&self, scope: &str, message: &mut DescriptorProto) -> bool {
        let name = format!("{scope}.{}", message.name());
        message.nested_type.retain_mut(|nested| self.message(&name, nested));
        message.enum_type.retain(|own| self.kept.contains(&format!("{name}.{}", own.name())));
        let is_kept_itself = self.kept.contains(&name);
        message.field.retain(|field| is_kept_itself && is_kept(&name, field, self.wanted));
        forget_empty_choices(message);
        is_kept_itself || !message.nested_type.is_empty() || !message.enum_type.is_empty()
    }
}

/// Takes out the `oneof`s of which no field is left, and counts the others anew.
fn forget_empty_choices(message: &mut DescriptorProto) {
    let used: BTreeSet<i32> = message.field.iter().filter_map(|field| field.oneof_index).collect();
    let place = |old: i32| used.iter().position(|index| *index == old).and_then(|at| i32::try_from(at).ok());
    for field in &mut message.field {
        field.oneof_index = field.oneof_index.and_then(place);
    }
    let old = std::mem::take(&mut message.oneof_decl);
    let kept = old.into_iter().zip(0..).filter(|(_, at)| used.contains(at)).map(|(choice, _)| choice);
    message.oneof_decl = kept.collect();
}
