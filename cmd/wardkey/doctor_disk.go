//go:build linux || darwin

package main

import (
	"os"
	"syscall"
)

// space is what is free where a directory lies.
func space(path string) (room, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return room{}, err
	}
	size := uint64(s.Bsize)
	return room{known: true, free: s.Bavail * size, total: s.Blocks * size, freeFiles: s.Ffree, totalFiles: s.Files}, nil
}

// owner is the user that a file belongs to, -1 if that is not known.
func owner(info os.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
