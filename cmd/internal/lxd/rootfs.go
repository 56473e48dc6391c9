package lxd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/pkg/sftp"
)

// Files are an instance's file system, to be read. The instance need not run. The
// server resolves links, within the instance's own root: it has made that its
// root folder before it looks at any path.
type Files struct {
	client *sftp.Client

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
	err := i.files(ctx, look)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return i.wrap("its files", err)
}

func (i *Instance) files(ctx context.Context, look func(*Files) error) error {
	conn, err := i.dialSFTP(ctx)
	if isRefusal(err) && i.typ == "virtual-machine" {
		return &HiddenError{err}
	}
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() { stop(); conn.Close() }()
	client, err := sftp.NewClientPipe(&limited{r: conn, left: maxFiles}, conn)
	if err != nil {
		return err
	}
	return look(&Files{client: client})
}

// dialSFTP opens the instance's file system. The connection is closed when ctx
// ends, whatever is going on over it: the library's own would not be.
func (i *Instance) dialSFTP(ctx context.Context) (io.ReadWriteCloser, error) {
	base := i.server.addr
	if _, ok := socketPath(base); ok {
		base = "http://unix.socket"
	}
	target := strings.TrimSuffix(base, "/") + "/1.0/instances/" + url.PathEscape(i.name) + "/sftp"
	if i.server.project != "" {
		target += "?project=" + url.QueryEscape(i.server.project)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", i.server.userAgent)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "sftp")
	resp, err := i.server.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode == http.StatusSwitchingProtocols && ok {
		return conn, nil
	}
	return nil, refusalOf(resp)
}

// maxFiles bounds what is read of an instance's files, in bytes: folders of a hostile
// image have no end.
const maxFiles = 512 << 20

var errManyFiles = fmt.Errorf("more than %d MiB of files were asked for", maxFiles>>20)

type limited struct {
	r    io.Reader
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errManyFiles
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
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
	err = fileError(err)
	_, files := err.(syscall.Errno) // as fileError has it: a connection's is inside of another
	if !files && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		f.mu.Lock()
		if f.err == nil {
			f.err = fmt.Errorf("%s %s: %w", op, name, err)
		}
		f.mu.Unlock()
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// fileError finds the system's own error: the protocol has few codes, and servers put
// it into the text.
func fileError(err error) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) {
		return err
	}
	text := strings.TrimRight(err.Error(), "\" )")
	text, _, _ = strings.Cut(text, "\" (")
	for _, known := range []syscall.Errno{syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL} {
		if strings.HasSuffix(text, known.Error()) {
			return known
		}
	}
	return err
}

// ask asks one thing about a path.
func ask[T any](f *Files, op, name string, question func(path string) (T, error)) (T, error) {
	var none T
	if !fs.ValidPath(name) {
		return none, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	answer, err := question(path.Join("/", name))
	if err != nil {
		return none, f.failed(op, name, err)
	}
	return answer, nil
}

// Lstat tells what stands at the path itself.
func (f *Files) Lstat(name string) (fs.FileInfo, error) {
	info, err := ask(f, "lstat", name, f.client.Lstat)
	return owned(info), err
}

// Stat tells what the path leads to.
func (f *Files) Stat(name string) (fs.FileInfo, error) {
	info, err := ask(f, "stat", name, f.client.Stat)
	return owned(info), err
}

// ReadLink returns a link's target as it stands there.
func (f *Files) ReadLink(name string) (string, error) {
	return ask(f, "readlink", name, f.client.ReadLink)
}

// ReadDir lists a folder by name.
func (f *Files) ReadDir(name string) ([]fs.DirEntry, error) {
	infos, err := ask(f, "readdir", name, f.client.ReadDir)
	entries := make([]fs.DirEntry, len(infos))
	for i, info := range infos {
		entries[i] = fs.FileInfoToDirEntry(owned(info))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// readAhead is how much of a file is asked for at once, in several questions.
const readAhead = 256 << 10

// Open opens a regular file: nothing else can be read, and to open a pipe would
// wait for ever.
func (f *Files) Open(name string) (fs.File, error) {
	info, err := f.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("it is no file that can be read")}
	}
	file, err := ask(f, "open", name, f.client.Open)
	if err != nil {
		return nil, err
	}
	return &remoteFile{files: f, file: file, info: info, ahead: bufio.NewReaderSize(file, readAhead)}, nil
}

// A remoteFile is read from its start to its end.
type remoteFile struct {
	files *Files
	file  *sftp.File
	info  fs.FileInfo
	ahead *bufio.Reader
}

// Stat tells what the file was when it was opened.
func (r *remoteFile) Stat() (fs.FileInfo, error) { return r.info, nil }

// Close gives the file up.
func (r *remoteFile) Close() error { return r.file.Close() }

func (r *remoteFile) Read(p []byte) (int, error) {
	n, err := r.ahead.Read(p)
	if err != nil && err != io.EOF {
		err = r.files.failed("read", r.info.Name(), err)
	}
	return n, err
}

// A remoteInfo tells the owners as those of this machine's files do.
type remoteInfo struct{ fs.FileInfo }

func owned(info fs.FileInfo) fs.FileInfo {
	if info == nil {
		return nil
	}
	return remoteInfo{info}
}

// Sys returns a *syscall.Stat_t with the owners.
func (i remoteInfo) Sys() any {
	stat, ok := i.FileInfo.Sys().(*sftp.FileStat)
	if !ok {
		return nil
	}
	return &syscall.Stat_t{Uid: stat.UID, Gid: stat.GID}
}
