package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of time in /proc: USER_HZ is 100 wherever Linux runs Go.
const tick = 10 * time.Millisecond

// A stat is what /proc/<pid>/stat says of a process.
type stat struct {
	parent   int
	cpu      time.Duration // user and system
	children time.Duration // of its children that ended
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The second field is the name in parentheses, which may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const state, ppid, utime, stime, cutime, cstime = 3, 4, 14, 15, 16, 17 // proc_pid_stat(5)
	numbers := map[int]int64{}
	for _, place := range []int{ppid, utime, stime, cutime, cstime} {
		if numbers[place], err = strconv.ParseInt(fields[place-state], 10, 64); err != nil {
			return stat{}, err
		}
	}
	return stat{
		parent:   int(numbers[ppid]),
		cpu:      time.Duration(numbers[utime]+numbers[stime]) * tick,
		children: time.Duration(numbers[cutime]+numbers[cstime]) * tick,
	}, nil
}

// familyCPU is the CPU time of a process and all its children, of those that ended too.
func familyCPU(pid int) (time.Duration, error) {
	s, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	total := s.cpu + s.children
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		child, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		s, err := readStat(child)
		if err == nil && s.parent == pid {
			total += s.cpu
		}
		if err != nil && !isGone(err) {
			return 0, err
		}
	}
	return total, nil
}

// isGone says whether a process ended while it was looked at.
func isGone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "no such process")
}

// memory is the resident set of a process in MB, now and at its largest.
func memory(pid int) (now, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kB float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kB); err == nil {
			now = kB / 1024
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kB); err == nil {
			peak = kB / 1024
		}
	}
	return now, peak, nil
}
