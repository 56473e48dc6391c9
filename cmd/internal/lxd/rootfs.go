package lxd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Files are an instance's file system, to be read. The instance need not run. The
// server resolves links, within the instance's own root: it has made that its
// root folder before it looks at any path.
type Files struct {
	conn *sftpConn

	mu  sync.Mutex
	err error
}

var (
	_ fs.ReadDirFS  = (*Files)(nil)
	_ fs.StatFS     = (*Files)(nil)
	_ fs.ReadLinkFS = (*Files)(nil)
)

// Files lets look see the instance's files. They are gone when it returns, and
// answer nothing any more when ctx ends. Of a virtual machine whose files the server
// does not show, the error is a *HiddenError.
func (i *Instance) Files(ctx context.Context, look func(*Files) error) error {
	open := func() error {
		conn, err := i.dialSFTP(ctx)
		if isRefusal(err) && i.typ == "virtual-machine" {
			return &HiddenError{err}
		}
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		defer func() { stop(); conn.Close() }()
		sftp, err := newSFTP(conn)
		if err != nil {
			return err
		}
		return look(&Files{conn: sftp})
	}
	err := open()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return i.wrap("its files", err)
}

// Err returns why something could not be found out, if that was not for what the
// files are: the server failed, or the connection. Nothing that was read is then
// to be believed.
func (f *Files) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// failed notes an error that is not one of the files', and gives all of them
// their form.
func (f *Files) failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	// Not errors.Is: a connection may break for a reason that files have as well.
	if !slices.Contains(fileErrors(), err) {
		f.mu.Lock()
		if f.err == nil {
			f.err = fmt.Errorf("%s %s: %w", op, name, err)
		}
		f.mu.Unlock()
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// fileErrors are the errors that are a file's.
func fileErrors() []error {
	return []error{fs.ErrNotExist, fs.ErrPermission, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL}
}

// one asks a single question about a path, whose answer is of the type.
func (f *Files) one(op, name string, typ, answerType byte, more ...byte) (answer, error) {
	if !fs.ValidPath(name) {
		return answer{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	answers, err := f.conn.ask(question{typ, append(sftpText(path.Join("/", name)), more...)})
	if err != nil {
		return answer{}, f.failed(op, name, err)
	}
	return answers[0], f.failed(op, name, answers[0].is(answerType))
}

// Lstat tells what stands at the path itself.
func (f *Files) Lstat(name string) (fs.FileInfo, error) { return f.stat("lstat", name, sftpLstat) }

// Stat tells what the path leads to.
func (f *Files) Stat(name string) (fs.FileInfo, error) { return f.stat("stat", name, sftpStat) }

func (f *Files) stat(op, name string, typ byte) (fs.FileInfo, error) {
	a, err := f.one(op, name, typ, sftpAttrs)
	if err != nil {
		return nil, err
	}
	info := a.attributes(path.Base(name))
	if a.short {
		return nil, f.failed(op, name, errAnswer)
	}
	return info, nil
}

// ReadLink returns a link's target as it stands there.
func (f *Files) ReadLink(name string) (string, error) {
	a, err := f.one("readlink", name, sftpReadLink, sftpName)
	if err != nil {
		return "", err
	}
	n, target := a.uint32(), string(a.bytes())
	if n != 1 || a.short {
		return "", f.failed("readlink", name, errAnswer)
	}
	return target, nil
}

// handle opens a file or a folder.
func (f *Files) handle(name string, typ byte, more ...byte) ([]byte, error) {
	a, err := f.one("open", name, typ, sftpHandle, more...)
	if err != nil {
		return nil, err
	}
	handle := a.bytes()
	if a.short {
		return nil, f.failed("open", name, errAnswer)
	}
	return sftpText(string(handle)), nil
}

// maxEntries is how many entries of one folder are read.
const maxEntries = 1 << 20

// ReadDir lists a folder by name.
func (f *Files) ReadDir(name string) ([]fs.DirEntry, error) {
	handle, err := f.handle(name, sftpOpenDir)
	if err != nil {
		return nil, err
	}
	defer f.conn.giveUp(handle)
	var entries []fs.DirEntry
	for {
		// Most folders have been read with the first answer, and the second says so.
		answers, err := f.conn.ask(question{sftpReadDir, handle}, question{sftpReadDir, handle})
		if err != nil {
			return nil, f.failed("readdir", name, err)
		}
		for _, a := range answers {
			err := a.is(sftpName)
			if err == io.EOF {
				slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
				return entries, nil
			}
			if err == nil {
				entries, err = a.entries(entries)
			}
			if err == nil && len(entries) > maxEntries {
				err = fmt.Errorf("there are more than %d entries", maxEntries)
			}
			if err != nil {
				return nil, f.failed("readdir", name, err)
			}
		}
	}
}

// entries adds what an answer has of a folder.
func (a *answer) entries(all []fs.DirEntry) ([]fs.DirEntry, error) {
	for n := a.uint32(); n > 0 && !a.short; n-- {
		name := string(a.bytes())
		a.bytes() // what ls -l would print
		info := a.attributes(name)
		switch {
		case a.short, strings.Contains(name, "/"), name == "":
			return nil, errAnswer
		case name != "." && name != "..":
			all = append(all, fs.FileInfoToDirEntry(info))
		}
	}
	return all, nil
}

// Open opens a regular file: nothing else can be read, and to open a pipe would
// wait for ever.
func (f *Files) Open(name string) (fs.File, error) {
	info, err := f.stat("open", name, sftpStat)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("it is no file that can be read")}
	}
	const toRead, attributes = 1, 0
	more := binary.BigEndian.AppendUint32(nil, toRead)
	more = binary.BigEndian.AppendUint32(more, attributes)
	handle, err := f.handle(name, sftpOpen, more...)
	if err != nil {
		return nil, err
	}
	return &remoteFile{files: f, name: name, info: info, handle: handle}, nil
}

const (
	readSize  = 32 << 10 // bytes that servers give in one answer
	readAhead = 8        // questions that are on their way at once
)

// A remoteFile is read from its start to its end.
type remoteFile struct {
	files  *Files
	name   string
	info   fs.FileInfo
	handle []byte
	offset int64
	have   []byte // read and not yet taken
	end    bool
}

// Stat tells what the file was when it was opened.
func (r *remoteFile) Stat() (fs.FileInfo, error) { return r.info, nil }

// Close gives the file up.
func (r *remoteFile) Close() error {
	r.files.conn.giveUp(r.handle)
	return nil
}

func (r *remoteFile) Read(p []byte) (int, error) {
	for len(r.have) == 0 && !r.end {
		if err := r.fill(); err != nil {
			return 0, r.files.failed("read", r.name, err)
		}
	}
	n := copy(p, r.have)
	r.have = r.have[n:]
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// fill asks for the next blocks, as many as the file is likely to have. One that
// comes short leaves those after it of no use.
func (r *remoteFile) fill() error {
	left := max(0, r.info.Size()-r.offset)
	questions := make([]question, min(readAhead, 1+(left+readSize-1)/readSize))
	for i := range questions {
		body := binary.BigEndian.AppendUint64(slices.Clone(r.handle), uint64(r.offset)+uint64(i)*readSize)
		questions[i] = question{sftpRead, binary.BigEndian.AppendUint32(body, readSize)}
	}
	answers, err := r.files.conn.ask(questions...)
	if err != nil {
		return err
	}
	for _, a := range answers {
		err := a.is(sftpData)
		data := a.bytes()
		switch {
		case err == io.EOF:
			r.end = true
			return nil
		case err != nil:
			return err
		case a.short || len(data) > readSize || len(data) == 0:
			return errAnswer
		}
		r.have = append(r.have, data...)
		r.offset += int64(len(data))
		if len(data) < readSize {
			return nil
		}
	}
	return nil
}

// attributes reads what a file is.
func (a *answer) attributes(name string) *remoteInfo {
	const size, owners, permissions, times, extended = 1, 2, 4, 8, 1 << 31
	info := &remoteInfo{name: name}
	flags := a.uint32()
	if flags&size != 0 {
		info.size = int64(a.uint64())
	}
	if flags&owners != 0 {
		info.stat = &syscall.Stat_t{Uid: a.uint32(), Gid: a.uint32()}
	}
	if flags&permissions != 0 {
		info.mode = a.uint32()
	}
	if flags&times != 0 {
		a.uint32()
		info.modified = time.Unix(int64(a.uint32()), 0)
	}
	if flags&extended != 0 {
		for n := a.uint32(); n > 0 && !a.short; n-- {
			a.bytes()
			a.bytes()
		}
	}
	if flags&permissions == 0 || info.size < 0 { // nothing can be said of such a file
		a.short = true
	}
	return info
}

// A remoteInfo is what a server says of a file.
type remoteInfo struct {
	name     string
	size     int64
	mode     uint32 // as Unix has it, with the type
	modified time.Time
	stat     *syscall.Stat_t // with the owners only; nil where the server does not tell them
}

func (i *remoteInfo) Name() string       { return i.name }
func (i *remoteInfo) Size() int64        { return i.size }
func (i *remoteInfo) ModTime() time.Time { return i.modified }
func (i *remoteInfo) IsDir() bool        { return i.Mode().IsDir() }

// Sys returns a *syscall.Stat_t with the owners, or nil.
func (i *remoteInfo) Sys() any {
	if i.stat == nil {
		return nil
	}
	return i.stat
}

// Mode turns Unix's mode into that of fs.
func (i *remoteInfo) Mode() fs.FileMode {
	mode := fs.FileMode(i.mode & 0o777)
	switch i.mode & 0o170000 {
	case 0o040000:
		mode |= fs.ModeDir
	case 0o120000:
		mode |= fs.ModeSymlink
	case 0o010000:
		mode |= fs.ModeNamedPipe
	case 0o140000:
		mode |= fs.ModeSocket
	case 0o060000:
		mode |= fs.ModeDevice
	case 0o020000:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case 0o100000:
	default:
		mode |= fs.ModeIrregular
	}
	for _, b := range []struct {
		bit  uint32
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if i.mode&b.bit != 0 {
			mode |= b.mode
		}
	}
	return mode
}
