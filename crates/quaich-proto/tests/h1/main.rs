//! The HTTP/1 codec from outside: a corpus of bad and odd inputs, limits, and properties that hold
//! for every input.

mod agreement;
mod corpus;
mod differential;
mod limits;
mod outcome;
mod path_reference;
mod properties;
mod reference;
mod response_reference;
