//! Conditions of policies, in the expression language that Envoy evaluates (CEL).
//!
//! An expression sees all lines of a header joined by commas, in every version. The matchers of newer Envoys ask each
//! line alone, so that they cannot tell whether a header is there more than once.

use concord_envoy_proto::google::api::expr::v1alpha1::constant::ConstantKind;
use concord_envoy_proto::google::api::expr::v1alpha1::expr::{Call, ExprKind, Ident, Select};
use concord_envoy_proto::google::api::expr::v1alpha1::{Constant, Expr};

/// What is printed in ASCII, and the tab.
const ASCII: &str = "^[\\t -~]*$";

/// A header is there, and its lines joined by commas have a comma.
pub(super) fn with_comma(header: &str) -> Expr {
    both(is_there(header), call(Some(joined(header)), "contains", vec![text(",")]))
}

/// A header is there, and some of its characters are not in ASCII.
pub(super) fn no_ascii(header: &str) -> Expr {
    both(is_there(header), not(call(Some(joined(header)), "matches", vec![text(ASCII)])))
}

pub(super) fn not(own: Expr) -> Expr {
    call(None, "!_", vec![own])
}

pub(super) fn both(one: Expr, other: Expr) -> Expr {
    call(None, "_&&_", vec![one, other])
}

/// One of these holds. They are nested no deeper than necessary, because Envoy limits the depth of messages.
pub(super) fn some(all: impl IntoIterator<Item = Expr>) -> Expr {
    let mut all: Vec<_> = all.into_iter().collect();
    while all.len() > 1 {
        let mut pairs = Vec::with_capacity(all.len().div_ceil(2));
        let mut rest = all.into_iter();
        while let Some(one) = rest.next() {
            pairs.push(match rest.next() {
                Some(other) => call(None, "_||_", vec![one, other]),
                None => one,
            });
        }
        all = pairs;
    }
    all.pop().unwrap_or_else(|| constant(ConstantKind::BoolValue(false)))
}

fn is_there(header: &str) -> Expr {
    call(None, "@in", vec![text(header), headers()])
}

fn joined(header: &str) -> Expr {
    call(None, "_[_]", vec![headers(), text(header)])
}

fn headers() -> Expr {
    let request = of(ExprKind::IdentExpr(Ident { name: "request".to_owned() }));
    let field = "headers".to_owned();
    of(ExprKind::SelectExpr(Box::new(Select { operand: Some(Box::new(request)), field, test_only: false })))
}

fn text(own: &str) -> Expr {
    constant(ConstantKind::StringValue(own.to_owned()))
}

fn constant(own: ConstantKind) -> Expr {
    of(ExprKind::ConstExpr(Constant { constant_kind: Some(own) }))
}

fn call(target: Option<Expr>, function: &str, args: Vec<Expr>) -> Expr {
    let (target, function) = (target.map(Box::new), function.to_owned());
    of(ExprKind::CallExpr(Box::new(Call { target, function, args })))
}

fn of(kind: ExprKind) -> Expr {
    Expr { expr_kind: Some(kind), ..Expr::default() }
}
