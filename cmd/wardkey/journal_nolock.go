//go:build !linux && !darwin

package main

import "os"

// lockFile does nothing here: servers must not share a data directory.
func lockFile(*os.File) error { return nil }
