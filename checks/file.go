package checks

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// File is a file, a folder, a link, or whatever stands at a path.
type File struct {
	Common
	Path     string  `json:"path,omitempty"`
	Exists   Matcher `json:"exists,omitzero" kind:"bool"`
	Mode     Matcher `json:"mode,omitzero" kind:"string"` // as 0644
	Owner    Matcher `json:"owner,omitzero" kind:"string"`
	UID      Matcher `json:"uid,omitzero" kind:"int"`
	Group    Matcher `json:"group,omitzero" kind:"string"`
	GID      Matcher `json:"gid,omitzero" kind:"int"`
	LinkedTo Matcher `json:"linked-to,omitzero" kind:"string"`
	Filetype Matcher `json:"filetype,omitzero" kind:"string"`
	Contents Matcher `json:"contents,omitzero" kind:"text" was:"contains"`
	Size     Matcher `json:"size,omitzero" kind:"int"` // in bytes
	MD5      Matcher `json:"md5,omitzero" kind:"string"`
	SHA256   Matcher `json:"sha256,omitzero" kind:"string"`
	SHA512   Matcher `json:"sha512,omitzero" kind:"string"`
}

// maxContents bounds the files that contents are looked at.
const maxContents = 10 << 20

// Evaluate looks at the file. A link itself is looked at, not what it leads
// to, except for contents and sums.
func (f *File) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	name, err := expandHome(ctx, sys, f.id(f.Path))
	var fi fs.FileInfo
	if err == nil {
		fi, err = fs.Lstat(sys.FS, name)
	}
	switch {
	case err == nil:
		r.presence("exists", f.Exists, true, "")
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		r.presence("exists", f.Exists, false, "does not exist")
	default:
		r.noPresence("exists", f.Exists, lookError(err))
	}
	r.find("mode", f.Mode, func() (any, error) { return fmt.Sprintf("%04o", unixMode(fi.Mode())), nil })
	r.find("owner", f.Owner, func() (any, error) { return ownerName(ctx, sys, fi) })
	r.find("uid", f.UID, func() (any, error) { uid, _, err := ownersOf(fi); return uid, err })
	r.find("group", f.Group, func() (any, error) { return groupName(ctx, sys, fi) })
	r.find("gid", f.GID, func() (any, error) { _, gid, err := ownersOf(fi); return gid, err })
	r.find("linked-to", f.LinkedTo, func() (any, error) { return linkTarget(sys.FS, name, fi) })
	r.find("filetype", f.Filetype, func() (any, error) { return filetype(fi.Mode()), nil })
	r.find("contents", f.Contents, func() (any, error) { return readContents(ctx, sys.FS, name) })
	r.find("size", f.Size, func() (any, error) { return fi.Size(), nil })
	r.find("md5", f.MD5, func() (any, error) { return sum(ctx, sys.FS, name, md5.New()) })
	r.find("sha256", f.SHA256, func() (any, error) { return sum(ctx, sys.FS, name, sha256.New()) })
	r.find("sha512", f.SHA512, func() (any, error) { return sum(ctx, sys.FS, name, sha512.New()) })
	return r.list
}

// expandHome turns ~/x and ~user/x, and any other path, into one of FS.
func expandHome(ctx context.Context, sys *System, name string) (string, error) {
	if !strings.HasPrefix(name, "~") {
		return sys.pathOf(name), nil
	}
	user, rest, _ := strings.Cut(name[1:], "/")
	is := func(a account) bool { return a.name == user }
	if user == "" {
		uid := os.Getuid()
		if sys.Exec == nil { // a guest that nobody is in
			uid = 0
		}
		user, is = decimal(uid), func(a account) bool { return a.uid == uid }
	}
	a, found, err := sys.account(ctx, user, is)
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", fmt.Errorf("no user %s, whose home it would be in", user)
	}
	return fsPath(a.home + "/" + rest), nil
}

// lookError tells what this process may not read from what nobody can read:
// the image is not to blame for a test that is not run as root.
func lookError(err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return inconclusive{err}
	}
	return err
}

// unixMode is a mode's permissions as chmod writes them.
func unixMode(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for _, b := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, 04000}, {fs.ModeSetgid, 02000}, {fs.ModeSticky, 01000}} {
		if m&b.mode != 0 {
			bits |= b.bit
		}
	}
	return bits
}

func filetype(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symlink"
	case m&fs.ModeCharDevice != 0:
		return "character-device"
	case m&fs.ModeDevice != 0:
		return "block-device"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m.IsDir():
		return "directory"
	default:
		return "file"
	}
}

func ownersOf(fi fs.FileInfo) (uid, gid int, err error) {
	stat, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, inconclusivef("the file system does not tell owners")
	}
	return int(stat.Uid), int(stat.Gid), nil
}

// ownerName is the owner's name, or number where it has no name.
func ownerName(ctx context.Context, sys *System, fi fs.FileInfo) (string, error) {
	uid, _, err := ownersOf(fi)
	if err != nil {
		return "", err
	}
	a, found, err := sys.account(ctx, decimal(uid), func(a account) bool { return a.uid == uid })
	if err != nil || found {
		return a.name, err
	}
	return decimal(uid), nil
}

func groupName(ctx context.Context, sys *System, fi fs.FileInfo) (string, error) {
	_, gid, err := ownersOf(fi)
	if err != nil {
		return "", err
	}
	g, found, err := sys.group(ctx, decimal(gid), func(g userGroup) bool { return g.gid == gid })
	if err != nil || found {
		return g.name, err
	}
	return decimal(gid), nil
}

func linkTarget(root fs.FS, name string, fi fs.FileInfo) (string, error) {
	if fi.Mode()&fs.ModeSymlink == 0 {
		return "", fmt.Errorf("it is no link but a %s", filetype(fi.Mode()))
	}
	return fs.ReadLink(root, name)
}

// openRegular opens a file, but nothing of which the opening or reading could
// wait, such as a pipe.
func openRegular(root fs.FS, name string) (fs.File, error) {
	fi, err := fs.Stat(root, name)
	if err != nil {
		return nil, lookError(err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("it is no file but a %s", filetype(fi.Mode()))
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, lookError(err)
	}
	return file, nil
}

func readContents(ctx context.Context, root fs.FS, name string) (string, error) {
	f, err := openRegular(root, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(untilDone{ctx, f}, maxContents+1))
	if err == nil && len(data) > maxContents {
		err = inconclusivef("its contents are bigger than %d MiB", maxContents>>20)
	}
	return string(data), err
}

func sum(ctx context.Context, root fs.FS, name string, h hash.Hash) (string, error) {
	f, err := openRegular(root, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(h, untilDone{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// untilDone reads until a context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}

func (*File) undescribed() []string {
	return []string{"contents", "gid", "md5", "sha256", "sha512", "size", "uid"}
}

func (*File) needsFilesOnly() {}
