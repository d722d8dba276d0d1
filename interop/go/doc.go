// Package interop holds tests only: the official Go client of Consul's API, through the official
// test harness, against the program that PATH has as `consul`.
package interop
