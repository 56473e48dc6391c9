package runner

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// The labels that our instances carry, so that what a killed run left behind is
// found.
const (
	LabelRun   = "user.icepak.run"   // the run's id
	labelHost  = "user.icepak.host"  // the machine that the run is on
	labelPID   = "user.icepak.pid"   // and its process there: pid:start
	labelUntil = "user.icepak.until" // when the run has ended for certain, RFC 3339
	labelKeep  = "user.icepak.keep"  // its --keep
)

// An Owner is the run that instances belong to.
type Owner struct {
	Run   string
	Host  string
	PID   string
	Until time.Time
}

// NewOwner returns this process as the owner of a run that ends before until.
func NewOwner(until time.Time) Owner {
	return Owner{Run: newRunID(), Host: machine(), PID: process(os.Getpid()), Until: until}
}

func newRunID() string { return strings.ToLower(rand.Text()[:8]) }

func (o Owner) labels(keep Keep) map[string]string {
	return map[string]string{
		LabelRun:   o.Run,
		labelHost:  o.Host,
		labelPID:   o.PID,
		labelUntil: o.Until.UTC().Format(time.RFC3339),
		labelKeep:  string(keep),
	}
}

// Abandoned tells whether the run that made an instance with these labels has
// ended without deleting it. A run on this machine is looked up; one on another
// counts as alive until it must have ended. kept says that the run may have left
// the instance on purpose.
func Abandoned(labels map[string]string, now time.Time) (abandoned, kept bool) {
	if labels[LabelRun] == "" {
		return false, false
	}
	kept = labels[labelKeep] == string(KeepAlways) || labels[labelKeep] == string(KeepFailed)
	if labels[labelHost] == machine() && labels[labelPID] != "" {
		pid, _, _ := strings.Cut(labels[labelPID], ":")
		n, err := strconv.Atoi(pid)
		return err != nil || process(n) != labels[labelPID], kept
	}
	until, err := time.Parse(time.RFC3339, labels[labelUntil])
	return err == nil && now.After(until), kept
}

// machine names this machine since its last boot, and in it the namespace that
// process numbers count in: containers may share all the rest.
func machine() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return host
	}
	numbers, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return host
	}
	return host + "/" + strings.TrimSpace(string(boot)) + "/" + numbers
}

// process names a process so that a later one with the same number is another. It
// is empty where there is none.
func process(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name, in parentheses, may hold spaces and parentheses itself. The start
	// time is the twentieth field after it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fmt.Sprintf("%d:%s", pid, fields[19])
}
