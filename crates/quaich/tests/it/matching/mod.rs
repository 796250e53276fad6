//! Which requests a rule is for: acls, what they look at, and ways around them that there must not
//! be.

mod acls;
mod dodging;
mod nginx;
