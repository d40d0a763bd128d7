//! The configuration as a tree.

use crate::place::Place;

/// A whole configuration, read and free of errors.
#[derive(Clone, Debug)]
pub struct Document {
    root: Element,
}

impl Document {
    pub(crate) fn new(root: Element) -> Document {
        Document { root }
    }

    /// The outermost element.
    pub fn root(&self) -> &Element {
        &self.root
    }

    /// The first section of a name, compared without case. A second one of that name is never used.
    pub fn section(&self, name: &str) -> Option<&Element> {
        self.root.child_with("section", "name", name)
    }

    /// One module's configuration, such as `sofia.conf`.
    pub fn configuration(&self, name: &str) -> Option<&Element> {
        self.section("configuration")?.child_with("configuration", "name", name)
    }
}

/// An element: its name, attributes, children and character content, each knowing where it stands.
#[derive(Clone, Debug)]
pub struct Element {
    name: Box<str>,
    place: Place,
    attributes: Vec<Attribute>,
    children: Vec<Element>,
    text: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: Box<str>,
    pub(crate) value: Box<str>,
    /// Where the value begins.
    pub(crate) place: Place,
}

impl Element {
    pub(crate) fn new(name: &str, place: Place, attributes: Vec<Attribute>) -> Element {
        Element { name: name.into(), place, attributes, children: Vec::new(), text: String::new() }
    }

    pub(crate) fn push_child(&mut self, child: Element) {
        self.children.push(child);
    }

    pub(crate) fn text_mut(&mut self) -> &mut String {
        &mut self.text
    }

    /// Gives back what growing has reserved; called when the element is complete.
    pub(crate) fn shrink(&mut self) {
        self.attributes.shrink_to_fit();
        self.children.shrink_to_fit();
        self.text.shrink_to_fit();
    }

    /// The element's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the element's `<` stands.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// An attribute's value. Names are compared exactly, as in FreeSWITCH.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.find(name).map(|attribute| attribute.value.as_ref())
    }

    /// Where an attribute's value begins.
    pub fn attribute_place(&self, name: &str) -> Option<Place> {
        self.find(name).map(|attribute| attribute.place.clone())
    }

    /// Where an attribute's value begins, or the element if it has no such attribute: a place to complain at.
    pub fn place_of(&self, name: &str) -> Place {
        self.attribute_place(name).unwrap_or_else(|| self.place())
    }

    fn find(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.as_ref() == name)
    }

    /// Names and values of all attributes in the order of the file.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|attribute| (attribute.name.as_ref(), attribute.value.as_ref()))
    }

    /// The direct children in the order of the file.
    pub fn children(&self) -> &[Element] {
        &self.children
    }

    /// The direct children of one name.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name() == name)
    }

    /// The first direct child of a name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name() == name)
    }

    /// The first direct child of a name whose attribute has a value, compared without case:
    /// `child_with("context", "name", "default")`.
    pub fn child_with(&self, name: &str, attribute: &str, value: &str) -> Option<&Element> {
        let is_it = |child: &&Element| {
            child.attribute(attribute).is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        self.children.iter().filter(|child| child.name() == name).find(is_it)
    }

    /// The character content, exactly as written: blanks and line breaks between children included,
    /// references resolved, CDATA taken in.
    pub fn text(&self) -> &str {
        &self.text
    }
}
