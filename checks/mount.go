package checks

import (
	"context"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Mount is a file system that is mounted somewhere.
type Mount struct {
	Common
	MountPoint string   `json:"mountpoint,omitempty"`
	Exists     Matcher  `json:"exists,omitzero" kind:"bool"`
	Opts       Matcher  `json:"opts,omitzero" kind:"list"`     // of this mount
	VFSOpts    Matcher  `json:"vfs-opts,omitzero" kind:"list"` // of the file system, wherever it is mounted
	Source     Matcher  `json:"source,omitzero" kind:"string"`
	Filesystem Matcher  `json:"filesystem,omitzero" kind:"string"`
	Usage      Matcher  `json:"usage,omitzero" kind:"int"` // percent of the blocks that are not free
	Timeout    Duration `json:"timeout,omitempty"`         // for usage; 1 s where not set
}

// Evaluate reads the kernel's table. Of several mounts on one another the last is
// the one that is seen.
func (m *Mount) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	mounts, err := fact(ctx, &sys.facts, "mounts", func() ([]mount, error) {
		return readLines(sys.FS, "proc/self/mountinfo", parseMount)
	})
	point := path.Clean(m.id(m.MountPoint))
	var found mount
	for _, each := range mounts {
		if each.point == point {
			found = each
		}
	}
	if err != nil {
		r.noPresence("exists", m.Exists, inconclusive{err})
	} else {
		r.presence("exists", m.Exists, found.point != "", "nothing is mounted there")
	}
	r.match("opts", m.Opts, found.opts)
	r.match("vfs-opts", m.VFSOpts, found.superOpts)
	r.match("source", m.Source, found.source)
	r.match("filesystem", m.Filesystem, found.filesystem)
	r.find("usage", m.Usage, func() (any, error) {
		timeout := m.Timeout.Or(time.Second)
		ctx, cancel := context.WithTimeoutCause(ctx, timeout, &timeoutError{timeout})
		defer cancel()
		return sys.usage(ctx, point)
	})
	return r.list
}

// A mount is a line of /proc/self/mountinfo.
type mount struct {
	point, filesystem, source string
	opts, superOpts           []string
}

// parseMount reads
//
//	36 35 98:0 /root /point opts optional fields - filesystem source opts
//
// in which spaces and the like are octal escapes. A source may be empty.
func parseMount(line string) (mount, bool) {
	left, right, ok := strings.Cut(line, " - ")
	own, super := strings.Split(left, " "), strings.Split(right, " ")
	if !ok || len(own) < 6 || len(super) != 3 {
		return mount{}, false
	}
	return mount{
		point:      unescapeMount(own[4]),
		opts:       splitOpts(own[5]),
		filesystem: unescapeMount(super[0]),
		source:     unescapeMount(super[1]),
		superOpts:  splitOpts(super[2]),
	}, true
}

// unescapeMount resolves \040 and the like.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// splitOpts splits at commas, except at those in quotes: SELinux's contexts have
// some. What is said twice counts once.
func splitOpts(s string) []string {
	quoted := false
	var list []string
	for _, opt := range strings.FieldsFunc(s, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ',' && !quoted
	}) {
		if opt = unescapeMount(opt); !slices.Contains(list, opt) {
			list = append(list, opt)
		}
	}
	return list
}

// usage asks how full a file system is. One that does not answer, such as NFS
// without its server, cannot be interrupted, and is left behind.
func (s *System) usage(ctx context.Context, point string) (any, error) {
	type answer struct {
		percent int
		err     error
	}
	look := s.Usage
	if look == nil {
		look = localUsage
	}
	done := make(chan answer, 1)
	go func() {
		percent, err := look(point)
		done <- answer{percent, err}
	}()
	select {
	case a := <-done:
		return a.percent, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// localUsage is the share of all blocks that are not free, those among them that
// are kept for root. A file system without blocks, such as proc, has none in use.
func localUsage(point string) (percent int, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(point, &stat); err != nil || stat.Blocks == 0 {
		return 0, err
	}
	return int(math.Round(100 * (1 - float64(stat.Bfree)/float64(stat.Blocks)))), nil
}

// undescribed: how full a file system is differs from day to day.
func (*Mount) undescribed() []string { return []string{"usage"} }
