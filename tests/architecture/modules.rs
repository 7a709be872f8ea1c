//! No import cycles between the files of a crate.
//!
//! `use` trees and qualified paths are parsed with `syn`. A re-exported name counts for the file that defines
//! it. Tests are ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::Visit;

use crate::workspace::{read_file, workspace_packages};

#[test]
fn no_files_import_each_other_in_circles() {
    let mut circles = Vec::new();
    for package in workspace_packages() {
        for root in package.source_roots {
            let circles_here = CrateModules::read(&root).circles();
            circles.extend(circles_here.into_iter().map(|files| format!("{}: {files:#?}", package.name)));
        }
    }
    circles.sort();
    circles.dedup();
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
}

#[test]
fn circle_through_reexport_is_found() {
    let modules = CrateModules::from_sources(&[
        ("", "mod a; mod b; mod c; pub use a::First;"),
        ("a", "use crate::b::Second; pub struct First(Second);"),
        ("b", "pub use super::c::Third; pub struct Second;"),
        ("c", "pub struct Third; fn third() -> crate::First { todo!() }"),
    ]);
    assert_eq!(modules.circles(), [] as [Vec<String>; 0], "`b` only re-exports from `c`");
    let modules = CrateModules::from_sources(&[
        ("", "mod a; mod b; pub use a::First;"),
        ("a", "use crate::b::Second; pub struct First(Second);"),
        ("b", "pub struct Second; fn second() -> crate::First { loop {} }\n#[cfg(test)] mod tests {}"),
    ]);
    assert_eq!(modules.circles(), [["a", "b"]]);
}

/// The modules of a crate by path; `""` is the root.
#[derive(Default)]
struct CrateModules {
    modules: BTreeMap<String, ModuleNames>,
}

/// The definitions, imports and paths of a module.
#[derive(Default)]
struct ModuleNames {
    children: BTreeSet<String>,
    definitions: BTreeSet<String>,
    /// The name in this module and the imported path.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths in types, expressions and patterns, and the paths of imports.
    paths: BTreeSet<Vec<String>>,
    /// Re-exports: they do not count as uses.
    reexports: BTreeSet<Vec<String>>,
}

impl CrateModules {
    fn read(root: &Path) -> Self {
        let mut modules = Self::default();
        let folder = root.parent().unwrap().to_owned();
        let mut open = vec![(String::new(), root.to_owned(), folder)];
        while let Some((module, file, folder)) = open.pop() {
            let names = ModuleNames::parse(&read_file(&file));
            for child in &names.children {
                let candidates = [folder.join(format!("{child}.rs")), folder.join(child).join("mod.rs")];
                if let Some(path) = candidates.iter().find(|path| path.is_file()) {
                    open.push((joined(&module, child), path.clone(), folder.join(child)));
                }
            }
            modules.modules.insert(module, names);
        }
        modules
    }

    fn from_sources(sources: &[(&str, &str)]) -> Self {
        let parse = |(module, text): &(&str, &str)| ((*module).to_owned(), ModuleNames::parse(text));
        Self { modules: sources.iter().map(parse).collect() }
    }

    /// The groups of modules that import each other.
    fn circles(&self) -> Vec<Vec<String>> {
        let edges: BTreeMap<&str, BTreeSet<String>> = self
            .modules
            .iter()
            .map(|(module, names)| (module.as_str(), self.imported(module, names)))
            .collect();
        let reaches: BTreeMap<&str, BTreeSet<String>> =
            edges.keys().map(|module| (*module, reachable(&edges, module))).collect();
        let mut circles: Vec<Vec<String>> = Vec::new();
        for (module, reached) in reaches.iter().filter(|(module, reached)| reached.contains(**module)) {
            let circle: Vec<String> =
                reached.iter().filter(|other| reaches[other.as_str()].contains(*module)).cloned().collect();
            if !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }

    fn imported(&self, module: &str, names: &ModuleNames) -> BTreeSet<String> {
        let resolved = names.paths.iter().filter_map(|path| self.resolve(module, path, 0));
        resolved.filter(|found| found != module).collect()
    }

    /// The module that defines the target of a path; `None` for other crates and local names.
    fn resolve(&self, from: &str, path: &[String], depth: usize) -> Option<String> {
        let (first, rest) = path.split_first()?;
        let names = self.modules.get(from)?;
        if depth > 16 {
            return None;
        }
        match first.as_str() {
            "crate" => return self.resolve_in("", rest, depth),
            "super" => {
                return self.resolve_in(from.rsplit_once("::").map_or("", |(parent, _)| parent), rest, depth);
            }
            "self" => return self.resolve_in(from, rest, depth),
            _ => {}
        }
        if names.children.contains(first) {
            return self.resolve_in(&joined(from, first), rest, depth);
        }
        let import = names.imports.get(first)?;
        if import.first() == Some(first) && import.len() == 1 {
            return None;
        }
        self.resolve(from, &[import.clone(), rest.to_vec()].concat(), depth + 1)
    }

    /// Like [`Self::resolve`], for a path relative to a module.
    fn resolve_in(&self, module: &str, path: &[String], depth: usize) -> Option<String> {
        let names = self.modules.get(module)?;
        let Some((first, rest)) = path.split_first() else { return Some(module.to_owned()) };
        if first == "super" {
            return self.resolve(module, path, depth + 1);
        }
        if names.children.contains(first) {
            return self.resolve_in(&joined(module, first), rest, depth);
        }
        if !names.definitions.contains(first)
            && let Some(import) = names.imports.get(first)
            && depth < 16
        {
            return self.resolve(module, &[import.clone(), rest.to_vec()].concat(), depth + 1);
        }
        Some(module.to_owned())
    }
}

fn reachable(edges: &BTreeMap<&str, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> = edges[from].iter().cloned().collect();
    while let Some(module) = open.pop() {
        if reached.insert(module.clone()) {
            open.extend(edges.get(module.as_str()).into_iter().flatten().cloned());
        }
    }
    reached
}

fn joined(module: &str, child: &str) -> String {
    if module.is_empty() { child.to_owned() } else { format!("{module}::{child}") }
}

impl ModuleNames {
    fn parse(text: &str) -> Self {
        let mut names = Self::default();
        names.visit_file(&syn::parse_file(text).unwrap());
        names
    }

    fn add_use(&mut self, prefix: &[String], tree: &syn::UseTree, is_reexport: bool) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        let (name, path) = match tree {
            syn::UseTree::Path(path) => return self.add_use(&with(&path.ident), &path.tree, is_reexport),
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_use(prefix, tree, is_reexport));
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                (prefix.last().cloned().unwrap_or_default(), prefix.to_vec())
            }
            syn::UseTree::Name(name) => (name.ident.to_string(), with(&name.ident)),
            syn::UseTree::Rename(rename) => (rename.rename.to_string(), with(&rename.ident)),
            syn::UseTree::Glob(_) => (String::new(), prefix.to_vec()),
        };
        self.imports.insert(name, path.clone());
        if is_reexport {
            self.reexports.insert(path)
        } else {
            self.paths.insert(path)
        };
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

impl<'ast> Visit<'ast> for ModuleNames {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name) = match item {
            syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            syn::Item::Impl(item) => (&item.attrs, None),
            syn::Item::Mod(item) => (&item.attrs, None),
            syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Use(item) => (&item.attrs, None),
            _ => return syn::visit::visit_item(self, item),
        };
        if is_for_tests(attributes) {
            return;
        }
        self.definitions.extend(name.map(ToString::to_string));
        match item {
            syn::Item::Use(item) => {
                let is_reexport = !matches!(item.vis, syn::Visibility::Inherited);
                self.add_use(&[], &item.tree, is_reexport);
            }
            syn::Item::Mod(item) if item.content.is_none() => {
                self.children.insert(item.ident.to_string());
            }
            _ => syn::visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            syn::visit::visit_impl_item_fn(self, function);
        }
    }

    /// `pub(super)` names a module without using it.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }
}
