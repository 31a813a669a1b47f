/* The common path of both ends: connect, read, decode, make the message, call the handler, encode, write, close.

   Each function here stands before a function in Python, which is the specification. It takes what is common: whole plain
   messages, acknowledgements, plain answers, the usual beginning and end of a connection. It leaves everything else, untouched,
   to the function in Python: any other signal, a large content, a broken frame, a limit, a failure of the system. The values are
   those of Python; their slots are read and written by offset. The GIL is held throughout, except while a socket is waited for.

   A quarter of this file is the client, a quarter the server, and a seventh each the module, the names and slots of the library, and
   messages and frames. Both ends are long because they hand over to Python at each step where something is not common, in a state
   that is complete: another thread, a signal, a fork, the end of a time, part of a frame, no memory.

   `accelerator.py` puts these functions in their places. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define PLAIN 65536   /* bytes; a larger content or answer is left to Python */
#define BATCH 1048576 /* bytes; the same for a batch of messages */
#define TYPICAL 128   /* bytes of a media type and its length, as `_TYPICAL_TYPE` in core/wire.py */
#define STACK 16384   /* bytes; the same for a client, whose buffers are on the stack */
#define HELD 524288   /* bytes; the answers that wait for one commit of a log, for one client */
#define CLAIMS 128    /* answers that the tasks of an event loop get at once */
#define EVENTS 256    /* of one wait, as `AT_ONCE` in local/stream.py */
#define ACCEPTED 64   /* clients at once, as `_ACCEPTED_AT_ONCE` in local/listener.py */
#define BURST 0.001   /* seconds of folding for all clients that are ready at once, as `_BURST` in blocking/loop.py */
#define SHARE 0.0001  /* seconds; each of them gets at least this much */
#define CLOCK 0.1     /* seconds, as `_CLOCK` in local/engine.py */

/* ---- the slots and values of the library, under the names that they have in Python */

#define VALUES(X) \
    X("ipcfold.continuation", Continuation, NULL, Continuation) X("ipcfold.continuation", Outcome, "CONTINUE", CONTINUE) \
    X("ipcfold.message", MediaType, NULL, MediaType) X("ipcfold.message", Message, NULL, Message) \
    X("returns.result", Success, NULL, Success)
#define VALUE_SLOTS(X) \
    X(Message, media_type) X(Message, content) X(Success, _inner_value) X(Continuation, carry) X(Continuation, responses) \
    X(Continuation, outcome) X(Continuation, peer) X(Continuation, _given)

#define FRAMES(X) \
    X("ipcfold.core.buffers", Outbox, NULL, Outbox) X("ipcfold.core.wire", Encoder, NULL, Encoder) \
    X("ipcfold.core.wire", ACKNOWLEDGEMENT, NULL, ACKNOWLEDGEMENT) X("ipcfold.core.wire", Decoder, NULL, Decoder) \
    X("ipcfold.core.wire", GREETING, NULL, GREETING) X("ipcfold.core.wire", ACCEPTANCE, NULL, ACCEPTANCE) \
    X("ipcfold.core.wire", FAREWELL, NULL, FAREWELL) X("ipcfold.core.wire", CONFIRMATION, NULL, CONFIRMATION) \
    X("ipcfold.core.wire", RefusedError, NULL, RefusedError) X("ipcfold.limits", Limits, NULL, Limits)
#define FRAME_SLOTS(X) \
    X(Encoder, _limit) X(Encoder, _media_type) X(Encoder, _beginning) X(Encoder, largest) X(Decoder, _media_type) X(Decoder, _data) \
    X(Decoder, _at) X(Decoder, _needed) X(Decoder, large) X(Decoder, _broken) X(Decoder, _usual) X(Decoder, _header) X(Decoder, _limit) \
    X(Decoder, buffered) X(Decoder, fresh) X(Outbox, size) X(Limits, unread)

#define CLIENT(X) \
    X("collections", deque, NULL, deque) X("ipcfold.blocking.client", Process, NULL, Process) \
    X("ipcfold.blocking.client", _nobody, NULL, nobody) X("ipcfold.blocking.client", _somebody, NULL, somebody) \
    X("ipcfold.blocking.connecting", process_of, NULL, process_of) X("ipcfold.blocking.connecting", socket, NULL, sockets) \
    X("ipcfold.blocking.driver", Driver, NULL, Driver) X("ipcfold.blocking.ipc", IPC, NULL, IPC) \
    X("ipcfold.core.protocol", CLIENT_ROWS, NULL, CLIENT_ROWS) X("ipcfold.core.protocol", ClientState, "CLOSING", CLIENT_CLOSING) \
    X("ipcfold.core.protocol", ClientState, "CLOSED", CLIENT_CLOSED) X("ipcfold.core.verbs", Verbs, NULL, Verbs) \
    X("ipcfold.local.credentials", is_known, NULL, is_known) X("ipcfold.local.credentials", same_user, NULL, same_user) \
    X("ipcfold.local.directory", addressed, NULL, addressed) X("ipcfold.local.patched", is_original, NULL, is_original) \
    X("ipcfold.peer", Name, NULL, Name) X("ipcfold.peer", Peer, NULL, Peer) X("socket", SocketType, "close", close_socket) \
    X("ipcfold.core.client_connection", ClientConnection, NULL, ClientConnection) \
    X("ipcfold.core.client_connection", _OVERHEAD, NULL, OVERHEAD) X("ipcfold.core.protocol", ClientState, "TALKING", CLIENT_TALKING)
#define CLIENT_SLOTS(X) \
    X(Process, _driver) X(Process, _forked) X(Process, _guard) X(Process, _owner) X(Process, _user) X(Driver, _arrived) \
    X(Driver, connection) X(Driver, idle) X(Driver, stream) X(ClientConnection, _decoder) X(ClientConnection, _disowned) \
    X(ClientConnection, _encoder) X(ClientConnection, _heartbeat) X(ClientConnection, _limits) X(ClientConnection, _responses) \
    X(ClientConnection, _spoke) X(ClientConnection, _unread) X(ClientConnection, _weightless) X(ClientConnection, acknowledged) \
    X(ClientConnection, deadline) X(ClientConnection, outbox) X(ClientConnection, sent) X(ClientConnection, state) \
    X(ClientConnection, _row) X(ClientConnection, open) X(IPC, directory) X(IPC, heartbeat) X(IPC, limits) X(IPC, trust) \
    X(Limits, drain) X(Name, value) X(Peer, connection) X(Peer, pid) X(Peer, uid) X(Peer, gid) X(Peer, run) X(Process, _verbs) X(Verbs, closed)

#define TASKS(X) \
    X("ipcfold.aio.channel", Channel, NULL, Channel) X("ipcfold.core.exchange", Exchange, NULL, Exchange)
#define TASK_SLOTS(X) \
    X(Channel, _changed) X(Channel, _descriptor) X(Channel, _lone) X(Channel, _over) X(Channel, _timer) X(Channel, _writing) \
    X(Channel, connection) X(Channel, exchange) X(Channel, loop) X(Exchange, _asking) X(Exchange, _seen) X(Exchange, _sending) \
    X(Exchange, _waiting)

#define SERVER(X) \
    X("ipcfold.local.flusher", Flusher, NULL, Flusher) X("ipcfold.local.calling", Calling, NULL, Loop) \
    X("ipcfold.core.fold", Fold, NULL, Fold) X("ipcfold.core.protocol", SERVER_ROWS, NULL, SERVER_ROWS) \
    X("ipcfold.core.protocol", ServerState, "GREETED", SERVER_GREETED) X("ipcfold.core.protocol", ServerState, "OVER", SERVER_OVER) \
    X("ipcfold.core.protocol", ServerState, "TALKING", SERVER_TALKING) X("ipcfold.core.server", ServerCore, NULL, ServerCore) \
    X("ipcfold.core.server_connection", Shared, NULL, Shared) X("ipcfold.core.transports", Transports, NULL, Transports) \
    X("ipcfold.core.server_connection", ServerConnection, NULL, ServerConnection) X("ipcfold.core.wire", Signal, "CLOSE", CLOSE) \
    X("ipcfold.local.client_socket", ClientSocket, NULL, ClientSocket) X("ipcfold.local.engine", ForkedError, NULL, ForkedError) \
    X("ipcfold.local.engine", Engine, NULL, Engine) X("ipcfold.local.listener", Listener, NULL, Listener)
#define SERVER_SLOTS(X) \
    X(Loop, _engine) X(Loop, _flusher) X(Loop, _handler) X(Loop, _interruptible) X(Flusher, _asleep) X(Flusher, _busy) X(Flusher, _calls) \
    X(Flusher, failure) X(Engine, _accepted) X(Engine, _core) X(Engine, _heard) X(Engine, _log) X(Engine, _owner) X(Engine, _ending) \
    X(Engine, _poller) X(Engine, _rotated) X(Engine, _run) X(Engine, _transports) X(Engine, _trust) X(Engine, forked) \
    X(Engine, logged) X(Engine, now) X(Listener, _accept_at) X(Listener, _before) X(Listener, _listener) X(Listener, _short) \
    X(ClientSocket, _end) X(ClientSocket, _log) X(ClientSocket, _lost) X(ClientSocket, _now) X(ClientSocket, _poller) \
    X(ClientSocket, _stream) X(ClientSocket, _wide) X(ClientSocket, interest) X(Transports, _transports) \
    X(ServerCore, _accounted) X(ServerCore, _attention) X(ServerCore, _encoder) X(ServerCore, _ends) X(ServerCore, _fold) \
    X(ServerCore, _limits) X(ServerCore, _user) X(ServerCore, accepting) X(ServerCore, shared) X(Shared, paused) X(Fold, _carry) \
    X(Fold, _left) X(Fold, _members) X(Fold, _timeout) X(Fold, asked) X(Fold, deadline) X(Fold, stopped) X(Fold, waiting) \
    X(Fold, _offset) X(Fold, _time) X(Fold, rings) X(ServerConnection, _begun) X(ServerConnection, _decoder) \
    X(ServerConnection, _ended_by) X(ServerConnection, _frames) X(ServerConnection, _heartbeat) X(ServerConnection, _row) \
    X(ServerConnection, _since) X(ServerConnection, behind) X(ServerConnection, due) X(ServerConnection, hearing) \
    X(ServerConnection, moved) X(ServerConnection, number) X(ServerConnection, outbox) X(ServerConnection, peer) \
    X(ServerConnection, state) X(ServerConnection, told) X(ServerConnection, waiting) X(Limits, connections)

#define DECLARE_SLOT(type, slot) static Py_ssize_t type##_##slot;
#define DECLARE(module, name, attribute, variable) static PyObject *variable;
VALUES(DECLARE) VALUE_SLOTS(DECLARE_SLOT) FRAMES(DECLARE) FRAME_SLOTS(DECLARE_SLOT)
CLIENT(DECLARE) CLIENT_SLOTS(DECLARE_SLOT) TASKS(DECLARE) TASK_SLOTS(DECLARE_SLOT) SERVER(DECLARE) SERVER_SLOTS(DECLARE_SLOT)

/* The slot of an object, as a variable. Only `put` writes to it. */
#define AT(object, type, slot) (*(PyObject **)((char *)(object) + type##_##slot))
#define IS(object, of) (Py_TYPE(object) == (PyTypeObject *)(of))

static int find_slot(Py_ssize_t *offset, PyObject *type, const char *slot)
{
    PyObject *member = PyObject_GetAttrString(type, slot);
    int found = member && Py_IS_TYPE(member, &PyMemberDescr_Type) && ((PyMemberDescrObject *)member)->d_member->type == T_OBJECT_EX;
    if (found)
        *offset = ((PyMemberDescrObject *)member)->d_member->offset;
    else if (member)
        PyErr_Format(PyExc_TypeError, "%R.%s is not a slot", type, slot);
    Py_XDECREF(member);
    return found;
}

static int find(PyObject **variable, const char *module, const char *name, const char *attribute)
{
    PyObject *value = PyImport_ImportModule(module);
    if (value)
        Py_SETREF(value, PyObject_GetAttrString(value, name));
    if (value && attribute)
        Py_SETREF(value, PyObject_GetAttrString(value, attribute));
    Py_XSETREF(*variable, value);
    return value != NULL;
}

#define FIND_SLOT(type, slot) &&find_slot(&type##_##slot, type, #slot)
#define FIND(module, name, attribute, variable) &&find(&variable, module, #name, attribute)

/* Whether the names of a table are found; they are looked for at the first use, because the modules import each other. */
#define KNOWS(known, others, names, slots) \
    static int known_##known; /* the import of this module resets it */ \
    static int knows_##known(void) { return known_##known || (known_##known = others names(FIND) slots(FIND_SLOT)); }
KNOWS(values, 1, VALUES, VALUE_SLOTS)
KNOWS(frames, knows_values(), FRAMES, FRAME_SLOTS)
KNOWS(client, knows_frames(), CLIENT, CLIENT_SLOTS)
KNOWS(tasks, knows_client(), TASKS, TASK_SLOTS)
KNOWS(server, knows_client(), SERVER, SERVER_SLOTS)

static PyObject *EMPTY, *NO_BYTES, *SHORTEST, *ZERO; /* (), b"", 7 as `_SHORTEST` in core/wire.py, 0 */
static PyObject *n__advance, *n__begin, *n__weigh, *n__write, *n_acquire, *n_append, *n_clear, *n_create_future, *n_depart, *n_done, *n_failed;
static PyObject *n_interrupt, *n_join, *n_leave, *n_lend, *n_popleft, *n_receive, *n_release, *n_set_result, *n_socket, *n_take_back;

static inline void put(PyObject **place, PyObject *value /* stolen */)
{
    PyObject *before = *place;
    *place = value;
    Py_XDECREF(before);
}

static inline void put_ref(PyObject **place, PyObject *value)
{
    if (*place != value)
        put(place, Py_NewRef(value));
}

static inline int put_new(PyObject **place, PyObject *value /* stolen; NULL after an exception */)
{
    if (value)
        put(place, value);
    return value != NULL;
}

static inline int put_number(PyObject **place, Py_ssize_t number) { return put_new(place, PyLong_FromSsize_t(number)); }

static inline int put_time(PyObject **place, double seconds) { return put_new(place, PyFloat_FromDouble(seconds)); }

/* Add one. */
static inline int put_next(PyObject **place) { return put_number(place, PyLong_AsSsize_t(*place) + 1); }

static inline Py_ssize_t number(PyObject *value) { return PyLong_AsSsize_t(value); }

/* A limit; 0 if it is no `int`, so that everything is left to Python. */
static Py_ssize_t limit(PyObject *value)
{
    if (!PyLong_Check(value))
        return 0;
    Py_ssize_t most = PyLong_AsSsize_t(value);
    if (most < 0) /* it is positive, so it is too large for C */
        PyErr_Clear();
    return most < 0 ? PY_SSIZE_T_MAX : most;
}

static inline int is_zero(PyObject *value) { return value == ZERO || (PyLong_CheckExact(value) && PyLong_AsLong(value) == 0); }

static double monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Seconds since the epoch. */
static double epoch(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A time that a slot holds. */
static inline double seconds(PyObject *value) { return PyFloat_CheckExact(value) ? PyFloat_AS_DOUBLE(value) : PyFloat_AsDouble(value); }

/* The process id. To ask for it is a system call, so it is kept on a page that the kernel wipes at a fork, where it can do that. */
static Py_ssize_t process_id(void)
{
    static pid_t *page;
#ifdef MADV_WIPEONFORK
    if (!page && (page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED &&
        madvise(page, sizeof *page, MADV_WIPEONFORK))
        page = MAP_FAILED;
    if (page != MAP_FAILED)
        return *page ? *page : (*page = getpid());
#endif
    (void)page;
    return getpid();
}

/* Whether the owner of a thing is this process. A flag tells of forks that ran the hooks of Python, and the id of others. */
static int ours(PyObject *forked, PyObject *owner) { return forked == Py_False && number(owner) == process_id(); }

/* Call, and return whether it raised nothing. */
static int called(PyObject *result)
{
    Py_XDECREF(result);
    return result != NULL;
}

/* Write what the socket takes at once. Returns how many bytes; 0 after a failure: Python tries again, and gets the same one. */
static Py_ssize_t write_some(int socket, const char *data, Py_ssize_t size)
{
    ssize_t written = size ? send(socket, data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    return written < 0 ? 0 : written;
}

/* ---- bytes */

/* Whether these bytes begin here. */
static inline int begins(const char *at, const char *end, PyObject *bytes)
{
    return end - at >= PyBytes_GET_SIZE(bytes) && !memcmp(at, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
}

/* These functions write here, and return the place after that. */

static inline char *put_bytes(char *at, PyObject *bytes)
{
    memcpy(at, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    return at + PyBytes_GET_SIZE(bytes);
}

/* Without a loop, compilers make one instruction of each. */
static inline char *put_four(char *at, uint32_t value)
{
    const unsigned char bytes[] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16), (unsigned char)(value >> 8),
                                   (unsigned char)value};
    memcpy(at, bytes, 4);
    return at + 4;
}

static inline char *put_eight(char *at, uint64_t value) { return put_four(put_four(at, (uint32_t)(value >> 32)), (uint32_t)value); }

static char *put_integer(char *at, PyObject *value) { return put_eight(at, (uint64_t)PyLong_AsLongLong(value)); }

/* The end of a frame: the length of the content, the content, and the byte that closes it. */
static inline char *put_content(char *at, const char *content, Py_ssize_t size)
{
    at = put_four(at, (uint32_t)size);
    memcpy(at, content, (size_t)size);
    at[size] = '\xce';
    return at + size + 1;
}

/* The length of a content. */
static inline Py_ssize_t get_four(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (Py_ssize_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

/* Room for so many bytes more in this memory. Returns 0 if there is none. */
static int make_room_in(char **memory, Py_ssize_t *room, Py_ssize_t used, Py_ssize_t size)
{
    if (used + size > *room) {
        char *more = PyMem_Realloc(*memory, (size_t)(used + size + PLAIN));
        if (!more)
            return 0;
        *memory = more;
        *room = used + size + PLAIN;
    }
    return 1;
}

/* ---- values */

static PyObject *new_success(PyObject *inner)
{
    PyTypeObject *type = (PyTypeObject *)Success;
    PyObject *made = type->tp_alloc(type, 0);
    if (made)
        AT(made, Success, _inner_value) = Py_NewRef(inner);
    return made;
}

static PyObject *new_message(PyObject *media_type, const char *content, Py_ssize_t size)
{
    PyTypeObject *type = (PyTypeObject *)Message;
    PyObject *bytes = PyBytes_FromStringAndSize(content, size), *made = bytes ? type->tp_alloc(type, 0) : NULL;
    if (!made) {
        Py_XDECREF(bytes);
        return NULL;
    }
    AT(made, Message, media_type) = Py_NewRef(media_type);
    AT(made, Message, content) = bytes;
    return made;
}

/* Continuations that nobody has any more, for the next message: to free two of them and to make two takes a fifth of its instructions. */
static PyObject *spares[2];
static int spared;

static PyObject *new_continuation(PyObject *carry, PyObject *responses, PyObject *outcome, PyObject *peer, PyObject *given)
{
    PyTypeObject *type = (PyTypeObject *)Continuation;
    PyObject *made = spared ? spares[--spared] : NULL;
    if (made && Py_TYPE(made) != type) /* the library was imported afresh */
        Py_CLEAR(made);
    if (!made && !(made = type->tp_alloc(type, 0)))
        return NULL;
    put_ref(&AT(made, Continuation, carry), carry);
    put_ref(&AT(made, Continuation, responses), responses);
    put_ref(&AT(made, Continuation, outcome), outcome);
    put_ref(&AT(made, Continuation, peer), peer);
    put_ref(&AT(made, Continuation, _given), given);
    return made;
}

/* Give up a continuation, and what it holds. Whatever has a weak reference to it has to see its end. */
static void drop_continuation(PyObject *made)
{
    if (made && IS(made, Continuation) && Py_REFCNT(made) == 1 && !*PyObject_GET_WEAKREFS_LISTPTR(made)) {
        put_ref(&AT(made, Continuation, carry), Py_None);
        put_ref(&AT(made, Continuation, responses), EMPTY);
        if (spared < (int)Py_ARRAY_LENGTH(spares) && Py_REFCNT(made) == 1 && !*PyObject_GET_WEAKREFS_LISTPTR(made)) {
            spares[spared++] = made;
            return;
        }
    }
    Py_XDECREF(made);
}

/* What a continuation has of the next message of a client, which has had `count` before: the time, its number, no effects. */
static PyObject *new_given(PyObject *time, PyObject **count)
{
    PyObject *next = PyLong_FromLong((long)number(*count) + 1), *made = next ? PyTuple_New(3) : NULL;
    if (made) {
        PyTuple_SET_ITEM(made, 0, Py_NewRef(time));
        PyTuple_SET_ITEM(made, 1, Py_NewRef(next));
        PyTuple_SET_ITEM(made, 2, Py_NewRef(Py_None));
        put(count, next);
    } else
        Py_XDECREF(next);
    return made;
}

/* `Message(media_type, content)` */
static PyObject *init_message(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (names || count != 3 || !PyBytes_CheckExact(args[2]))
        return NULL;
    put_ref(&AT(args[0], Message, media_type), args[1]);
    put_ref(&AT(args[0], Message, content), args[2]);
    return Py_NewRef(Py_None);
}

/* `Continuation.respond(carry, *messages)` */
static PyObject *respond(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (names || count < 2)
        return NULL;
    PyObject *self = args[0], *before = AT(self, Continuation, responses), *outcome = AT(self, Continuation, outcome);
    PyObject *peer = AT(self, Continuation, peer), *given = AT(self, Continuation, _given), *responses, *made;
    if (!before || !outcome || !peer || !given || !PyTuple_CheckExact(before) || PyTuple_GET_SIZE(before) ||
        !(responses = PyTuple_New(count - 2)))
        return NULL;
    for (Py_ssize_t i = 2; i < count; i++)
        PyTuple_SET_ITEM(responses, i - 2, Py_NewRef(args[i]));
    made = new_continuation(args[1], responses, outcome, peer, given);
    Py_DECREF(responses);
    return made;
}

/* ---- frames */

/* Whether the content may be that of a signal. Python knows which of these are. */
static int signal_like(const char *content, Py_ssize_t size) { return size >= 12 && size <= 32 && !memcmp(content, "innmind/ipc:", 12); }

/* The size of the frame of a message; 0 if it is not plain. */
static Py_ssize_t frame_size(PyObject *message, PyObject *encoder)
{
    if (!IS(message, Message))
        return 0;
    PyObject *content = AT(message, Message, content);
    if (!content || !PyBytes_CheckExact(content) || AT(message, Message, media_type) != AT(encoder, Encoder, _media_type))
        return 0;
    Py_ssize_t size = PyBytes_GET_SIZE(content);
    if (size > PLAIN || size > limit(AT(encoder, Encoder, _limit)) || signal_like(PyBytes_AS_STRING(content), size))
        return 0;
    return PyBytes_GET_SIZE(AT(encoder, Encoder, _beginning)) + 4 + size + 1;
}

/* Make the media type of this message that of the encoder, as it is with the first message of most connections. Returns whether it raised
   nothing. */
static int begin_type(PyObject *message, PyObject *encoder)
{
    PyObject *media_type = IS(message, Message) ? AT(message, Message, media_type) : NULL;
    if (!media_type || media_type == AT(encoder, Encoder, _media_type) || !IS(media_type, MediaType) ||
        !AT(message, Message, content) || !PyBytes_CheckExact(AT(message, Message, content)))
        return 1;
    if (called(PyObject_CallMethodOneArg(encoder, n__begin, message)))
        return 1;
    if (!PyErr_ExceptionMatches(RefusedError))
        return 0;
    PyErr_Clear(); /* Python refuses it again, and says so */
    return 1;
}

/* The size of the frames of these messages; 0 if one is not plain, or if they are more than `most` bytes. */
static Py_ssize_t frames_size(PyObject *const *messages, Py_ssize_t count, PyObject *encoder, Py_ssize_t most)
{
    Py_ssize_t all = 0, largest = number(AT(encoder, Encoder, largest)), before = largest;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size = frame_size(messages[i], encoder);
        if (!size || (all += size) > most)
            return 0;
        size = PyBytes_GET_SIZE(AT(messages[i], Message, content));
        if (size > largest)
            largest = size;
    }
    return largest == before || put_number(&AT(encoder, Encoder, largest), largest) ? all : 0;
}

/* Write the frames of these messages, of which `frames_size` gave the size. */
static void write_frames(char *to, PyObject *const *messages, Py_ssize_t count, PyObject *encoder)
{
    PyObject *beginning = AT(encoder, Encoder, _beginning);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *content = AT(messages[i], Message, content);
        to = put_content(put_bytes(to, beginning), PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content));
    }
}

/* `Encoder.encode(messages)` */
static PyObject *encode(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (names || count != 2 || !PyTuple_CheckExact(args[1]))
        return NULL;
    PyObject *const *messages = &PyTuple_GET_ITEM(args[1], 0);
    Py_ssize_t many = PyTuple_GET_SIZE(args[1]), size = frames_size(messages, many, args[0], BATCH);
    PyObject *frames = size ? PyBytes_FromStringAndSize(NULL, size) : NULL, *pieces = frames ? PyList_New(1) : NULL;
    if (!pieces) {
        Py_XDECREF(frames);
        return NULL;
    }
    write_frames(PyBytes_AS_STRING(frames), messages, many, args[0]);
    PyList_SET_ITEM(pieces, 0, frames);
    return pieces;
}

/* Learn the media type of the whole frame that begins here, if it is short and another one. Returns 1 if it can be used then, 0 if not, -1
   after an exception. */
static int learn(const char *at, const char *end, PyObject *decoder)
{
    PyObject *header = AT(decoder, Decoder, _header);
    const unsigned char *type = (const unsigned char *)at;
    Py_ssize_t size = end - at < 2 ? 0 : 2 + (type[0] << 8 | type[1]);
    if (!size || size > TYPICAL || end - at < size + 5 || (size == PyBytes_GET_SIZE(header) && begins(at, end, header)) ||
        end - at <= size + 4 + get_four(at + size))
        return 0;
    PyObject *marked = PyObject_CallMethod(decoder, "_learn", "y#", at, size);
    Py_XDECREF(marked);
    return !marked ? -1 : marked == Py_False && AT(decoder, Decoder, _usual) != Py_None;
}

/* The size of the plain message that begins here and is whole, and its content; 0 if there is none. */
static Py_ssize_t plain(const char *at, const char *end, PyObject *decoder, const char **content, Py_ssize_t *size)
{
    PyObject *header = AT(decoder, Decoder, _header);
    Py_ssize_t begin = PyBytes_GET_SIZE(header);
    if (end - at < begin + 5 || !begins(at, end, header))
        return 0;
    *size = get_four(at + begin);
    *content = at + begin + 4;
    if (*size > PLAIN || *size > limit(AT(decoder, Decoder, _limit)) || end - *content <= *size)
        return 0;
    return (*content)[*size] == '\xce' && !signal_like(*content, *size) ? begin + 5 + *size : 0;
}

/* The same, also if its media type has to be learned; -1 after an exception. */
static Py_ssize_t plain_or_learned(const char *at, const char *end, PyObject *decoder, const char **content, Py_ssize_t *size)
{
    Py_ssize_t whole = plain(at, end, decoder, content, size);
    int learned = whole ? 0 : learn(at, end, decoder);
    return learned > 0 ? plain(at, end, decoder, content, size) : whole + learned;
}

/* Whether the decoder has at most the beginning of a frame, and knows the usual media type. */
static int at_frames(PyObject *decoder)
{
    return AT(decoder, Decoder, large) == Py_None && AT(decoder, Decoder, _broken) == Py_None && AT(decoder, Decoder, _usual) != Py_None &&
           AT(decoder, Decoder, fresh) == Py_False && PyBytes_CheckExact(AT(decoder, Decoder, _data)) &&
           PyBytes_GET_SIZE(AT(decoder, Decoder, _data)) <= 2 * PLAIN;
}

static Py_ssize_t waiting_bytes(PyObject *decoder)
{
    Py_ssize_t size = PyBytes_GET_SIZE(AT(decoder, Decoder, _data));
    return size ? size - number(AT(decoder, Decoder, _at)) : 0;
}

/* Copy the beginning of a frame that waits in the decoder. */
static void copy_waiting(PyObject *decoder, char *to)
{
    memcpy(to, PyBytes_AS_STRING(AT(decoder, Decoder, _data)) + number(AT(decoder, Decoder, _at)), (size_t)waiting_bytes(decoder));
}

/* Take it out of the decoder. */
static void drop_waiting(PyObject *decoder)
{
    put_ref(&AT(decoder, Decoder, _data), NO_BYTES);
    put_ref(&AT(decoder, Decoder, _at), ZERO);
    put_ref(&AT(decoder, Decoder, buffered), ZERO);
    put_ref(&AT(decoder, Decoder, _needed), SHORTEST);
}

/* ---- the client */

/* NULL for a process that is not complete. `__init__` sets its user last. */
static PyObject *connection_of(PyObject *process)
{
    return AT(process, Process, _user) ? AT(AT(process, Process, _driver), Driver, connection) : NULL;
}

/* Whether nobody uses the connection, and this process may. */
static int free_for_us(PyObject *process)
{
    return AT(process, Process, _user) == nobody && ours(AT(process, Process, _forked), AT(process, Process, _owner));
}

/* Whether nothing waits to be written, and plain frames may come. */
static int talks(PyObject *connection)
{
    return AT(connection, ClientConnection, state) == CLIENT_TALKING &&
           is_zero(AT(AT(connection, ClientConnection, outbox), Outbox, size)) && at_frames(AT(connection, ClientConnection, _decoder));
}

/* Whether nobody uses the connection, and nothing but plain frames is to be expected; then the caller uses it. */
static int begin_use(PyObject *process)
{
    PyObject *guard = AT(process, Process, _guard), *driver = AT(process, Process, _driver);
    PyObject *connection = AT(driver, Driver, connection);
    if (!free_for_us(process) || AT(driver, Driver, idle) != Py_True || PyObject_Size(AT(driver, Driver, _arrived)) ||
        PySet_GET_SIZE(AT(connection, ClientConnection, _disowned)) || !talks(connection))
        return 0;
    /* In Python another thread may be between looking at the user and becoming it. Then it holds the guard. */
    PyObject *held = PyObject_CallMethodOneArg(guard, n_acquire, Py_False);
    Py_XDECREF(held);
    if (held != Py_True)
        return 0;
    int free = AT(process, Process, _user) == nobody;
    if (free)
        put_ref(&AT(process, Process, _user), somebody);
    return called(PyObject_CallMethodNoArgs(guard, n_release)) && free;
}

static PyObject *end_use(PyObject *process, PyObject *result)
{
    put_ref(&AT(process, Process, _user), nobody);
    return result;
}

/* A response as `ClientConnection` keeps it: the number of the message that it answers, itself, its weight. */
static PyObject *new_entry(Py_ssize_t answered, PyObject *message /* stolen */, Py_ssize_t weight)
{
    PyObject *made = PyTuple_New(3), *first = PyLong_FromSsize_t(answered), *last = PyLong_FromSsize_t(weight);
    if (made && first && last) {
        PyTuple_SET_ITEM(made, 0, first);
        PyTuple_SET_ITEM(made, 1, message);
        PyTuple_SET_ITEM(made, 2, last);
        return made;
    }
    Py_XDECREF(made), Py_XDECREF(first), Py_XDECREF(last), Py_DECREF(message);
    return NULL;
}

/* The answers to the messages of a dictionary, by the number of the message, and who waits for each. */
typedef struct {
    PyObject *asking;
    Py_ssize_t count;
    struct {
        PyObject *number, *waiting, *message;
    } found[CLAIMS];
} Claims;

/* Move who waits for the answer to this message out of the dictionary. Returns 1 if there was one and `message` is kept, 0 if not, -1 after
   an exception. */
static int claim(Claims *claims, Py_ssize_t answered, PyObject *message)
{
    if (claims->count == CLAIMS || !PyDict_GET_SIZE(claims->asking))
        return 0;
    PyObject *key = PyLong_FromSsize_t(answered), *waiting = key ? Py_XNewRef(PyDict_GetItemWithError(claims->asking, key)) : NULL;
    int claimed = waiting ? (PyDict_DelItem(claims->asking, key) ? -1 : 1) : PyErr_Occurred() ? -1 : 0;
    if (claimed > 0) {
        claims->found[claims->count].number = key;
        claims->found[claims->count].waiting = waiting;
        claims->found[claims->count++].message = message;
    } else
        Py_XDECREF(key), Py_XDECREF(waiting);
    return claimed;
}

/* Count acknowledgements and keep responses, as far as they are plain. Returns the place of the first byte that is not taken, or
   NULL with an exception. `answer`, if there is one, gets the first response to the message `number`, or to any if that is -1. `claims`, if
   there are any, get the responses that somebody waits for. */
static const char *take(PyObject *connection, const char *at, const char *end, Py_ssize_t wanted, PyObject **answer, Claims *claims)
{
    PyObject *decoder = AT(connection, ClientConnection, _decoder), *usual;
    Py_ssize_t acknowledged = number(AT(connection, ClientConnection, acknowledged)), sent = number(AT(connection, ClientConnection, sent));
    Py_ssize_t before = number(AT(connection, ClientConnection, _unread)), unread = before, length, size;
    Py_ssize_t most = limit(AT(AT(connection, ClientConnection, _limits), Limits, unread)), overhead = number(OVERHEAD);
    const char *content;
    int failed = 0;
    while (at < end) {
        if (begins(at, end, ACKNOWLEDGEMENT)) {
            if (acknowledged >= sent)
                break;
            acknowledged++;
            at += PyBytes_GET_SIZE(ACKNOWLEDGEMENT);
            continue;
        }
        if ((size = plain_or_learned(at, end, decoder, &content, &length)) <= 0) {
            failed = size < 0;
            break;
        }
        usual = AT(decoder, Decoder, _usual);
        if (unread + length + overhead > most)
            break;
        if (usual != AT(connection, ClientConnection, _weightless)) {
            PyObject *weight = PyObject_CallMethodOneArg(connection, n__weigh, usual);
            int weightless = weight && is_zero(weight);
            failed = !weight;
            Py_XDECREF(weight);
            if (!weightless)
                break;
        }
        PyObject *message = new_message(usual, content, length);
        if (message && answer && !*answer && (wanted < 0 || acknowledged == wanted))
            *answer = message;
        else {
            int claimed = message && claims ? claim(claims, acknowledged, message) : 0;
            if (claimed > 0) {
                at += size;
                continue;
            }
            if ((failed = claimed < 0)) {
                Py_DECREF(message);
                break;
            }
            PyObject *entry = message ? new_entry(acknowledged, message, length + overhead) : NULL;
            failed = !entry || !called(PyObject_CallMethodOneArg(AT(connection, ClientConnection, _responses), n_append, entry));
            Py_XDECREF(entry);
            if (failed)
                break;
            unread += length + overhead;
        }
        at += size;
    }
    failed = failed || !put_number(&AT(connection, ClientConnection, acknowledged), acknowledged) ||
             (unread != before && !put_number(&AT(connection, ClientConnection, _unread), unread));
    return failed ? NULL : at;
}

/* `ClientConnection.receive(data)` */
static PyObject *receive(PyObject *python, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (names || count != 2 || !PyBytes_CheckExact(args[1]) || PyBytes_GET_SIZE(args[1]) > PLAIN ||
        AT(args[0], ClientConnection, state) != CLIENT_TALKING ||
        PySet_GET_SIZE(AT(args[0], ClientConnection, _disowned)) || !at_frames(AT(args[0], ClientConnection, _decoder)))
        return NULL;
    PyObject *decoder = AT(args[0], ClientConnection, _decoder), *rest, *result = NULL;
    Py_ssize_t had = waiting_bytes(decoder), size = had + PyBytes_GET_SIZE(args[1]);
    char *joined = had ? PyMem_Malloc((size_t)size) : NULL;
    if (had && !joined)
        return PyErr_NoMemory();
    if (had) {
        copy_waiting(decoder, joined);
        drop_waiting(decoder);
        memcpy(joined + had, PyBytes_AS_STRING(args[1]), (size_t)(size - had));
    }
    const char *data = had ? joined : PyBytes_AS_STRING(args[1]), *at = take(args[0], data, data + size, 0, NULL, NULL);
    if (at == data + size)
        result = Py_NewRef(Py_None);
    else if (at && (rest = PyBytes_FromStringAndSize(at, data + size - at))) {
        result = PyObject_CallFunctionObjArgs(python, args[0], rest, NULL);
        Py_DECREF(rest);
    }
    PyMem_Free(joined);
    return result;
}

/* A use of a connection. */
typedef struct {
    PyObject *process, *driver, *connection;
    int socket;
    double deadline;  /* infinite if there is none */
    Py_ssize_t wanted; /* the number of the message whose response is wanted; -1 for any */
    PyObject *answer;
} Use;

/* Call a method of the driver or the connection. An exception that comes meanwhile ends the connection. */
static int stepped(Use *use, PyObject *result)
{
    if (called(result))
        put_ref(&AT(use->driver, Driver, idle), Py_True);
    return result != NULL;
}

/* Write these bytes. Returns 1, 0 if Python has to write the rest, -1 after an exception. */
static int utter(Use *use, const char *data, Py_ssize_t size)
{
    Py_ssize_t written = write_some(use->socket, data, size);
    if (written == size)
        return 1;
    put_ref(&AT(use->driver, Driver, idle), Py_False);
    PyObject *outbox = AT(use->connection, ClientConnection, outbox);
    return stepped(use, PyObject_CallMethod(outbox, "add", "y#", data + written, size - written)) ? 0 : -1;
}

/* Wait for bytes, and take them. Returns 1 when some have come, 0 if the function in Python has to go on, -1 after an exception. */
static int hear(Use *use, int responses)
{
    char data[STACK];
    PyObject *connection = use->connection;
    ssize_t got = 0;
    int failure = 0, limited = isfinite(use->deadline), ready = 1;
    if (!talks(connection) || waiting_bytes(AT(connection, ClientConnection, _decoder)))
        return 0;
    double seconds = fmin(use->deadline, PyFloat_AsDouble(AT(connection, ClientConnection, deadline))) - monotonic();
    if (seconds <= 0) /* a heartbeat is due, or the time is over */
        return 0;
    Py_BEGIN_ALLOW_THREADS
    if (limited) { /* the receive timeout of the socket ends a wait at a heartbeat only */
        struct pollfd readable = {use->socket, POLLIN, 0};
        ready = poll(&readable, 1, (int)ceil(1000 * fmin(seconds, 3600.0)));
    }
    if (ready > 0)
        got = recv(use->socket, data, sizeof data, limited ? MSG_DONTWAIT : 0);
    failure = ready < 0 || got < 0 ? errno : 0;
    Py_END_ALLOW_THREADS
    if (failure == EINTR) {
        if (PyErr_CheckSignals())
            return -1;
        return ours(AT(use->process, Process, _forked), AT(use->process, Process, _owner));
    }
    put_ref(&AT(use->driver, Driver, idle), Py_False);
    if (failure == EAGAIN && !limited)
        return stepped(use, PyObject_CallMethod(connection, "overdue", "d", monotonic())) ? 0 : -1;
    const char *at = got > 0 ? take(connection, data, data + got, use->wanted, responses ? &use->answer : NULL, NULL) : data;
    if (at && got > 0 && at < data + got)
        return stepped(use, PyObject_CallMethod(use->driver, "arrived", "y#", at, (Py_ssize_t)(data + got - at))) ? 0 : -1;
    if (at)
        put_ref(&AT(use->driver, Driver, idle), Py_True);
    return at ? got > 0 : -1; /* without bytes, Python reads again and gets the same end or failure */
}

/* A use of this process, whose socket is -1 after an exception. */
static Use use_of(PyObject *process, double deadline)
{
    PyObject *driver = AT(process, Process, _driver);
    int socket = PyObject_AsFileDescriptor(AT(driver, Driver, stream));
    return (Use){process, driver, AT(driver, Driver, connection), socket, deadline, -1, NULL};
}

static int begin(Use *use, PyObject *process, double deadline)
{
    if (!begin_use(process))
        return 0;
    *use = use_of(process, deadline);
    if (use->socket >= 0)
        return 1;
    PyErr_Clear();
    end_use(process, NULL);
    return 0;
}

/* The size of the frames of these messages; 0 if Python has to send them, or with an exception. Then the use is over. */
static Py_ssize_t plain_size(PyObject *process, PyObject *const *messages, Py_ssize_t count)
{
    PyObject *encoder = AT(connection_of(process), ClientConnection, _encoder);
    Py_ssize_t size = begin_type(messages[0], encoder) ? frames_size(messages, count, encoder, STACK) : 0;
    if (!size)
        end_use(process, NULL);
    return size;
}

/* Write these messages. Returns 1, 0 if Python has to write the rest, -1 after an exception. */
static int speak(Use *use, PyObject *const *messages, Py_ssize_t count, Py_ssize_t size, Py_ssize_t last)
{
    char data[STACK];
    PyObject *connection = use->connection;
    write_frames(data, messages, count, AT(connection, ClientConnection, _encoder));
    double now = monotonic();
    if (now >= PyFloat_AsDouble(AT(connection, ClientConnection, deadline)) && /* this message is the sign of life */
        !put_time(&AT(connection, ClientConnection, deadline), now + PyFloat_AsDouble(AT(connection, ClientConnection, _heartbeat))))
        return -1;
    if (!put_number(&AT(connection, ClientConnection, sent), last))
        return -1;
    put_ref(&AT(connection, ClientConnection, _spoke), Py_True);
    return utter(use, data, size);
}

/* `Process.send(*messages)` */
static PyObject *send_(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Use use;
    PyObject *connection = connection_of(args[0]);
    if (names || count < 2 || !connection)
        return NULL;
    Py_ssize_t size = begin(&use, args[0], INFINITY) ? plain_size(args[0], args + 1, count - 1) : 0;
    if (!size)
        return NULL;
    Py_ssize_t before = number(AT(connection, ClientConnection, sent)), last = before + count - 1;
    int going = speak(&use, args + 1, count - 1, size, last);
    while (going > 0 && number(AT(connection, ClientConnection, acknowledged)) < last)
        going = hear(&use, 0);
    if (!going)
        return end_use(args[0], PyObject_CallMethod(args[0], "_go_on_sending", "nn", before, count - 1));
    return end_use(args[0], going > 0 ? new_success(args[0]) : NULL);
}

/* A number of seconds; NaN if Python has to look at it. */
static double seconds_of(PyObject *value)
{
    double seconds = PyFloat_CheckExact(value) || PyLong_CheckExact(value) ? PyFloat_AsDouble(value) : NAN;
    PyErr_Clear(); /* of a number that is too large */
    return seconds >= 0 && seconds < 1e9 ? seconds : NAN;
}

/* The time at which this timeout in seconds is over; NaN if Python has to look at it. */
static double deadline_of(PyObject *timeout)
{
    if (timeout == Py_None)
        return INFINITY;
    double seconds = seconds_of(timeout);
    return seconds > 0 ? monotonic() + seconds : NAN;
}

/* The argument `timeout` at this place; NULL if the arguments are others. */
static PyObject *timeout_of(PyObject *const *args, Py_ssize_t count, PyObject *names, Py_ssize_t place)
{
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    if (count == place && !named)
        return Py_None;
    if (count == place && named == 1 && !PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "timeout"))
        return args[count];
    return count == place + 1 && !named ? args[place] : NULL;
}

/* The answer, or what the function in Python makes of the rest of the wait. */
static PyObject *finish(Use *use, int going, PyObject *timeout)
{
    PyObject *result = NULL, *until, *type, *value, *traceback;
    if (going >= 0 && use->answer)
        result = new_success(use->answer);
    else if (!going && (until = isfinite(use->deadline) ? PyFloat_FromDouble(use->deadline) : Py_NewRef(Py_None)))
        result = use->wanted < 0 ? PyObject_CallMethod(use->process, "_go_on_waiting", "ON", timeout, until)
                                 : PyObject_CallMethod(use->process, "_go_on_asking", "nON", use->wanted, timeout, until);
    else if (use->wanted >= 0 && number(AT(use->connection, ClientConnection, sent)) >= use->wanted) { /* nobody waits for its response */
        PyErr_Fetch(&type, &value, &traceback);
        if (!called(PyObject_CallMethod(use->connection, "disown", "n", use->wanted)))
            PyErr_Clear();
        PyErr_Restore(type, value, traceback);
    }
    Py_XDECREF(use->answer);
    return end_use(use->process, result);
}

/* `Process.wait(timeout=None)` */
static PyObject *wait_(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Use use;
    PyObject *timeout = timeout_of(args, count, names, 1), *entry, *result = NULL;
    PyObject *connection = connection_of(args[0]);
    if (!timeout || !connection)
        return NULL;
    if (PyObject_Size(AT(connection, ClientConnection, _responses)) > 0) {
        if (!free_for_us(args[0]) || !(entry = PyObject_CallMethodNoArgs(AT(connection, ClientConnection, _responses), n_popleft)))
            return NULL;
        Py_ssize_t unread = number(AT(connection, ClientConnection, _unread)) - number(PyTuple_GET_ITEM(entry, 2));
        if (put_number(&AT(connection, ClientConnection, _unread), unread))
            result = new_success(PyTuple_GET_ITEM(entry, 1));
        Py_DECREF(entry);
        return result;
    }
    double deadline = deadline_of(timeout);
    if (isnan(deadline) || !begin(&use, args[0], deadline))
        return NULL;
    int going = 1;
    while (going > 0 && !use.answer)
        going = PyObject_Size(AT(connection, ClientConnection, _responses)) ? 0 : hear(&use, 1);
    return finish(&use, going, timeout);
}

/* `Process.ask(message, timeout=None)` */
static PyObject *ask(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Use use;
    PyObject *timeout = timeout_of(args, count, names, 2);
    PyObject *connection = connection_of(args[0]);
    if (!timeout || !connection)
        return NULL;
    double deadline = deadline_of(timeout);
    Py_ssize_t size = !isnan(deadline) && begin(&use, args[0], deadline) ? plain_size(args[0], args + 1, 1) : 0;
    if (!size)
        return NULL;
    use.wanted = number(AT(connection, ClientConnection, sent)) + 1;
    int going = speak(&use, args + 1, 1, size, use.wanted);
    while (going > 0 && !use.answer)
        going = hear(&use, 1);
    return finish(&use, going, timeout);
}

/* ---- a client's connection in an event loop */

/* Whether nothing but plain frames is to be expected. */
static int is_common(PyObject *channel)
{
    PyObject *connection = AT(channel, Channel, connection);
    return AT(channel, Channel, _over) == Py_False && AT(channel, Channel, _writing) == Py_False &&
           !PySet_GET_SIZE(AT(connection, ClientConnection, _disowned)) && talks(connection);
}

/* `Channel.ask(message)` */
static PyObject *ask_alone(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (names || count != 2 || AT(args[0], Channel, _lone) != Py_True || AT(args[0], Channel, _timer) == Py_None || !is_common(args[0]))
        return NULL;
    char data[STACK];
    PyObject *connection = AT(args[0], Channel, connection), *encoder = AT(connection, ClientConnection, _encoder);
    PyObject *asking = AT(AT(args[0], Channel, exchange), Exchange, _asking), *last, *waiting, *added;
    Py_ssize_t size = begin_type(args[1], encoder) ? frames_size(args + 1, 1, encoder, STACK) : 0;
    if (!size || !(last = PyLong_FromSsize_t(number(AT(connection, ClientConnection, sent)) + 1)))
        return NULL;
    waiting = PyObject_CallMethodNoArgs(AT(args[0], Channel, loop), n_create_future);
    if (!waiting || PyDict_SetItem(asking, last, waiting)) {
        Py_XDECREF(waiting), Py_DECREF(last);
        return NULL;
    }
    put(&AT(connection, ClientConnection, sent), last);
    put_ref(&AT(connection, ClientConnection, _spoke), Py_True);
    put_ref(&AT(args[0], Channel, _lone), Py_False);
    write_frames(data, args + 1, 1, encoder);
    Py_ssize_t written = write_some((int)number(AT(args[0], Channel, _descriptor)), data, size);
    if (written == size)
        return waiting;
    added = PyObject_CallMethod(AT(connection, ClientConnection, outbox), "add", "y#", data + written, size - written);
    if (called(added) && called(PyObject_CallMethodNoArgs(args[0], n__write)))
        return waiting;
    Py_DECREF(waiting);
    return NULL;
}

/* Give the answers to the tasks that wait for them; a cancelled one gets none. Returns whether it raised nothing. After an exception the
   others are asking again, so that they learn of the end. */
static int hand_over(Claims *claims)
{
    int failed = 0;
    for (Py_ssize_t i = 0; i < claims->count; i++) {
        PyObject *waiting = claims->found[i].waiting, *done = failed ? NULL : PyObject_CallMethodNoArgs(waiting, n_done);
        failed = !done || (done == Py_False && !called(PyObject_CallMethodOneArg(waiting, n_set_result, claims->found[i].message)));
        if (failed) {
            PyObject *type, *value, *traceback;
            PyErr_Fetch(&type, &value, &traceback);
            if (PyDict_SetItem(claims->asking, claims->found[i].number, waiting))
                PyErr_Clear();
            PyErr_Restore(type, value, traceback);
        }
        Py_XDECREF(done), Py_DECREF(waiting), Py_DECREF(claims->found[i].message), Py_DECREF(claims->found[i].number);
    }
    return !failed;
}

/* `Channel._readable()` */
static PyObject *hear_tasks(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (names || count != 1 || PyList_GET_SIZE(AT(args[0], Channel, _changed)) || !is_common(args[0]))
        return NULL;
    char data[STACK];
    PyObject *connection = AT(args[0], Channel, connection), *exchange = AT(args[0], Channel, exchange), *rest;
    PyObject *responses = AT(connection, ClientConnection, _responses), *type, *value, *traceback;
    Py_ssize_t seen = number(AT(exchange, Exchange, _seen));
    if (PyObject_Size(responses) != seen || waiting_bytes(AT(connection, ClientConnection, _decoder)))
        return NULL;
    ssize_t got = recv((int)number(AT(args[0], Channel, _descriptor)), data, sizeof data, MSG_DONTWAIT);
    if (got <= 0) /* Python reads again, and gets the same end or failure */
        return NULL;
    Claims claims = {.asking = AT(exchange, Exchange, _asking), .count = 0};
    const char *at = take(connection, data, data + got, 0, NULL, &claims);
    int going = at != NULL;
    if (at && at < data + got) {
        rest = PyBytes_FromStringAndSize(at, data + got - at);
        going = rest && called(PyObject_CallMethodOneArg(connection, n_receive, rest));
        Py_XDECREF(rest);
    }
    PyErr_Fetch(&type, &value, &traceback);
    going = hand_over(&claims) && going;
    if (type)
        PyErr_Restore(type, value, traceback);
    if (!going) { /* nobody knows which bytes were taken */
        PyErr_Fetch(&type, &value, &traceback);
        if (!called(PyObject_CallMethodNoArgs(connection, n_interrupt)) || !called(PyObject_CallMethodNoArgs(args[0], n__advance)))
            PyErr_Clear();
        PyErr_Restore(type, value, traceback);
        return NULL;
    }
    if (at < data + got || PyObject_Size(responses) != seen || PyObject_Size(AT(exchange, Exchange, _sending)) ||
        PyObject_Size(AT(exchange, Exchange, _waiting)))
        return PyObject_CallMethodNoArgs(args[0], n__advance);
    put_ref(&AT(args[0], Channel, _lone), claims.count == 1 && !PyDict_GET_SIZE(claims.asking) ? Py_True : Py_False);
    Py_RETURN_NONE;
}

/* ---- a client's connection begins and ends */

/* Whether each connection has its own object of this kind. */
static int is_part(PyObject *of)
{
    return IS(of, Driver) || IS(of, ClientConnection) || IS(of, Encoder) || IS(of, Decoder) || IS(of, Outbox);
}

/* A copy of a part of a connection to which nothing has happened: its own parts and empty containers are copied, the rest is shared. */
static PyObject *copy(PyObject *of)
{
    PyTypeObject *type = Py_TYPE(of);
    PyObject *made = type->tp_alloc(type, 0);
    for (PyMemberDef *slot = type->tp_members; made && slot->name; slot++) {
        PyObject *value = *(PyObject **)((char *)of + slot->offset), **to = (PyObject **)((char *)made + slot->offset);
        if (is_part(value))
            *to = copy(value);
        else if ((PyDict_CheckExact(value) || PyList_CheckExact(value) || PySet_CheckExact(value) || IS(value, deque)) &&
                 !PyObject_IsTrue(value))
            *to = PyObject_CallNoArgs((PyObject *)Py_TYPE(value));
        else
            *to = Py_NewRef(value);
        if (!*to)
            Py_CLEAR(made);
    }
    return made;
}

/* Begin with the media type that this connection has used last, because the next one usually has it, too. */
static void remember(PyObject *pattern, PyObject *encoder, PyObject *decoder)
{
    if (encoder) {
        put_ref(&AT(pattern, Encoder, _media_type), AT(encoder, Encoder, _media_type));
        put_ref(&AT(pattern, Encoder, _beginning), AT(encoder, Encoder, _beginning));
    } else if (AT(decoder, Decoder, _usual) != Py_None) {
        put_ref(&AT(pattern, Decoder, _media_type), AT(decoder, Decoder, _usual));
        put_ref(&AT(pattern, Decoder, _usual), AT(decoder, Decoder, _usual));
        put_ref(&AT(pattern, Decoder, _header), AT(decoder, Decoder, _header));
    }
}

/* Close the socket, as `shut` in local/stream.py does. Nothing runs in between, so that nothing raises. */
static void shut(PyObject *stream)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (!called(PyObject_CallOneArg(close_socket, stream)))
        PyErr_Clear();
    PyErr_Restore(type, value, traceback);
}

static void drop(PyObject *stream)
{
    shut(stream);
    Py_DECREF(stream);
}

/* Wait for this frame alone. Returns 1 if it has come, 0 if Python has to go on, -1 after an exception. */
static int expect(Use *use, PyObject *frame)
{
    char data[512];
    ssize_t got = -1;
    double left = fmax(0.0, use->deadline - monotonic()), silence = PyFloat_AsDouble(AT(use->connection, ClientConnection, _heartbeat));
    int failure, ready = 1, limited = left < 0.99 * silence; /* otherwise the receive timeout of the socket ends the wait early enough */
    struct pollfd readable = {use->socket, POLLIN, 0};
    Py_BEGIN_ALLOW_THREADS
    if (limited)
        ready = poll(&readable, 1, (int)ceil(1000 * left));
    if (ready > 0)
        got = recv(use->socket, data, sizeof data, limited ? MSG_DONTWAIT : 0);
    failure = ready && got < 0 ? errno : 0;
    Py_END_ALLOW_THREADS
    if (got == PyBytes_GET_SIZE(frame) && begins(data, data + got, frame))
        return 1;
    if (got <= 0)
        return failure == EINTR && PyErr_CheckSignals() ? -1 : 0;
    put_ref(&AT(use->driver, Driver, idle), Py_False);
    return stepped(use, PyObject_CallMethod(use->driver, "arrived", "y#", data, (Py_ssize_t)got)) ? 0 : -1;
}

static PyObject *pattern; /* of connections like the last one */

/* Go to this state, and write its frame. Returns 1, 0 if Python has to write the rest, -1 after an exception. */
static int say(Use *use, PyObject *state, PyObject *frame)
{
    put_ref(&AT(use->connection, ClientConnection, state), state);
    put_ref(&AT(use->connection, ClientConnection, _row), PyDict_GetItem(CLIENT_ROWS, state));
    return utter(use, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame));
}

/* `Process.close()` */
static PyObject *close_(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Use use;
    PyObject *connection = connection_of(args[0]), *result = NULL;
    if (names || count != 1 || !connection)
        return NULL;
    PyObject *verbs = AT(args[0], Process, _verbs);
    double drain = seconds_of(AT(AT(connection, ClientConnection, _limits), Limits, drain));
    if (AT(verbs, Verbs, closed) != Py_False || isnan(drain) || !begin(&use, args[0], monotonic() + drain))
        return NULL;
    int going = called(PyObject_CallMethodNoArgs(AT(connection, ClientConnection, _responses), n_clear)) ? 1 : -1;
    if (going > 0)
        going = say(&use, CLIENT_CLOSING, FAREWELL);
    if (going > 0)
        going = expect(&use, CONFIRMATION);
    if (going > 0) {
        say(&use, CLIENT_CLOSED, NO_BYTES);
        put_ref(&AT(connection, ClientConnection, open), Py_False);
        put_ref(&AT(verbs, Verbs, closed), Py_True);
        shut(AT(use.driver, Driver, stream));
        result = new_success(Py_None);
        if (pattern && IS(pattern, Driver)) {
            PyObject *next = AT(pattern, Driver, connection);
            remember(AT(next, ClientConnection, _encoder), AT(connection, ClientConnection, _encoder), NULL);
            remember(AT(next, ClientConnection, _decoder), NULL, AT(connection, ClientConnection, _decoder));
            put_ref(&AT(next, ClientConnection, _weightless), AT(connection, ClientConnection, _weightless));
        }
    } else if (!going)
        result = PyObject_CallMethod(args[0], "_go_on_closing", "d", use.deadline);
    return end_use(args[0], result);
}

#ifdef __linux__
/* The process at the other end; NULL if the system does not know it, or with an exception. */
static PyObject *new_peer(Py_ssize_t connection, int socket, PyObject *run)
{
    struct ucred known;
    socklen_t size = sizeof known;
    PyTypeObject *type = (PyTypeObject *)Peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &known, &size))
        return NULL;
    PyObject *made = type->tp_alloc(type, 0);
    if (made && put_number(&AT(made, Peer, connection), connection) && put_number(&AT(made, Peer, pid), known.pid) &&
        put_number(&AT(made, Peer, uid), known.uid) && put_number(&AT(made, Peer, gid), known.gid)) {
        put_ref(&AT(made, Peer, run), run);
        return made;
    }
    Py_XDECREF(made);
    return NULL;
}

/* The socket of Python for this descriptor of a client, which is closed if there is an exception. */
static PyObject *new_stream(int descriptor)
{
    PyObject *type = PyObject_GetAttr(sockets, n_socket);
    PyObject *made = type ? PyObject_CallFunction(type, "iiii", AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, descriptor) : NULL;
    Py_XDECREF(type);
    if (!made)
        close(descriptor);
    return made;
}

/* Connect to this path. Returns 1, or 0 if Python has to try, or has to say what is wrong. */
static int reach(int descriptor, const char *path, double heartbeat)
{
    struct sockaddr_un address = {AF_UNIX, {0}};
    struct stat status;
    long long silence = llround(1e6 * fmax(1e-6, fmin(heartbeat, 3600.0))); /* as `_timeval` in blocking/connecting.py */
    struct timeval timeout = {silence / 1000000, silence % 1000000};
    memcpy(address.sun_path, path, strlen(path));
    return !lstat(address.sun_path, &status) && S_ISSOCK(status.st_mode) &&
           !connect(descriptor, (struct sockaddr *)&address, sizeof address) &&
           !setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
}

/* A stream to the server at this path. Returns NULL if Python has to try, or with an exception. */
static PyObject *new_stream_to(PyObject *path, double heartbeat)
{
    const char *text = PyBytes_AS_STRING(path);
    if (strlen(text) != (size_t)PyBytes_GET_SIZE(path) || strlen(text) >= sizeof ((struct sockaddr_un *)NULL)->sun_path)
        return NULL;
    /* Nothing waits with the GIL held. Where the backlog is full, Python waits. */
    PyObject *type = PyObject_GetAttr(sockets, n_socket);
    PyObject *stream = type ? PyObject_CallFunction(type, "ii", AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK) : NULL;
    Py_XDECREF(type);
    if (stream && (PySys_Audit("socket.connect", "Oy", stream, text) || !reach(PyObject_AsFileDescriptor(stream), text, heartbeat) ||
                   !called(PyObject_CallMethod(stream, "settimeout", "O", Py_None)))) {
        drop(stream);
        stream = NULL;
    }
    if (!stream && PyErr_ExceptionMatches(PyExc_OSError))
        PyErr_Clear();
    return stream;
}

/* What moves the bytes of a new connection. */
static PyObject *new_driver(PyObject *stream, PyObject *heartbeat, PyObject *limits)
{
    PyObject *connection = pattern && IS(pattern, Driver) ? AT(pattern, Driver, connection) : NULL;
    if (!connection || AT(connection, ClientConnection, _heartbeat) != heartbeat || AT(connection, ClientConnection, _limits) != limits)
        Py_XSETREF(pattern, PyObject_CallFunctionObjArgs(Driver, Py_None, heartbeat, limits, NULL));
    PyObject *made = pattern ? copy(pattern) : NULL;
    if (made) {
        put_ref(&AT(made, Driver, stream), stream);
        if (!put_time(&AT(AT(made, Driver, connection), ClientConnection, deadline), monotonic() + seconds_of(heartbeat)))
            Py_CLEAR(made);
    }
    return made;
}

/* `Process.greeted`, for the usual greeting. */
static PyObject *greet(PyObject *process, PyObject *path, PyObject *timeout, double deadline)
{
    Use use = use_of(process, deadline);
    int going = use.socket < 0 ? -1 : expect(&use, GREETING);
    if (going > 0 && ours(AT(process, Process, _forked), AT(process, Process, _owner)))
        return say(&use, CLIENT_TALKING, ACCEPTANCE) < 0 ? NULL : new_success(process);
    return going < 0 ? NULL : PyObject_CallMethod(process, "greeted", "OOd", path, timeout, deadline);
}

/* Connect to the server at this path, which is also there in bytes. Returns NULL if Python has to try, or with an exception. */
static PyObject *connect_to(PyObject *name, PyObject *path, PyObject *address, PyObject *heartbeat, PyObject *limits, PyObject *timeout)
{
    double deadline = monotonic() + seconds_of(timeout);
    if (isnan(seconds_of(heartbeat)) || isnan(deadline))
        return NULL;
    PyObject *usable = PyObject_CallNoArgs(is_original), *result = NULL;
    PyObject *stream = usable == Py_True ? new_stream_to(address, seconds_of(heartbeat)) : NULL;
    Py_XDECREF(usable);
    if (!stream)
        return NULL;
    PyObject *peer = new_peer(0, PyObject_AsFileDescriptor(stream), ZERO), *trusted = peer ? PyObject_CallOneArg(same_user, peer) : NULL;
    PyObject *driver = trusted == Py_True ? new_driver(stream, heartbeat, limits) : NULL;
    PyObject *process = driver ? PyObject_CallFunctionObjArgs(process_of, name, path, peer, driver, limits, NULL) : NULL;
    Py_XDECREF(peer), Py_XDECREF(trusted), Py_XDECREF(driver);
    if (!process) {
        drop(stream);
        return NULL;
    }
    Py_DECREF(stream); /* the process closes it */
    result = greet(process, path, timeout, deadline);
    Py_DECREF(process);
    return result;
}

/* `connected(name, path, heartbeat=, limits=, trust=, timeout=)` */
static PyObject *connect_(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const NAMES[] = {"heartbeat", "limits", "trust", "timeout"};
    PyObject *address, *result = NULL;
    if (count != 2 || !names || PyTuple_GET_SIZE(names) != 4)
        return NULL;
    for (Py_ssize_t i = 0; i < 4; i++)
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), NAMES[i]))
            return NULL;
    if (args[4] == same_user && PyUnicode_FSConverter(args[1], &address)) {
        result = connect_to(args[0], args[1], address, args[2], args[3], args[5]);
        Py_DECREF(address);
    }
    return result;
}

/* Whether the directory of the sockets is one that only this user can use. */
static int is_private(const char *directory)
{
    struct stat status;
    if (lstat(directory, &status) || !S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 0777) != 0700)
        return 0;
    PyObject *user = PyLong_FromLong(status.st_uid), *known = user ? PyObject_CallOneArg(is_known, user) : NULL;
    Py_XDECREF(user);
    Py_XDECREF(known);
    return known == Py_True;
}

/* `IPC._connected(name, timeout)`, for a directory that the program has named */
static PyObject *find_(PyObject *Py_UNUSED(python), PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *result = NULL;
    if (names || count != 3 || !IS(args[1], Name) || AT(args[0], IPC, trust) != same_user || AT(args[0], IPC, directory) == Py_None)
        return NULL;
    PyObject *text = PyOS_FSPath(AT(args[0], IPC, directory));
    PyObject *found = text ? PyObject_CallFunctionObjArgs(addressed, text, AT(args[1], Name, value), NULL) : NULL;
    if (found && found != Py_None && is_private(PyBytes_AS_STRING(PyTuple_GET_ITEM(found, 1))))
        result = connect_to(args[1], PyTuple_GET_ITEM(found, 0), PyTuple_GET_ITEM(found, 2), AT(args[0], IPC, heartbeat),
                            AT(args[0], IPC, limits), args[2]);
    else if (PyErr_ExceptionMatches(PyExc_ValueError))
        PyErr_Clear(); /* of a path that cannot be encoded; Python says so */
    Py_XDECREF(text);
    Py_XDECREF(found);
    return result;
}
#else
static PyObject *nothing(PyObject *Py_UNUSED(python), PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(count),
                         PyObject *Py_UNUSED(names))
{
    return NULL;
}
#define connect_ nothing
#define find_ nothing
#endif

/* ---- the server */

/* The answers of a server to one client that are not written yet. */
typedef struct {
    PyObject_HEAD
    PyObject *end; /* borrowed; the connection of that client while it is served */
    PyObject *holder; /* borrowed; the core of a server with a log, which takes what must wait for a commit; otherwise NULL */
    char *records;
    Py_ssize_t recorded, records_size, records_room; /* how many records, their bytes, and memory */
    char *in, *out;
    Py_ssize_t size, room; /* of `out`: bytes that wait, and memory */
    int socket, ready; /* how many events the last wait returned */
    PyObject *moment; /* the time that was put into a slot last, because several slots get the same */
    PyObject *pattern; /* of a connection that is greeted */
    double clocked; /* when to look at the clock again; 0 in a new one */
    double due; /* when to look at new connections */
    int spread; /* whether an answer had effects: they may concern other clients, so Python looks at all of them before it goes on */
    Py_ssize_t folded, admitted, parted;
} Burst;

static PyObject *new_burst(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(named))
{
    Burst *self = (Burst *)type->tp_alloc(type, 0);
    if (self && knows_server() && (self->in = PyMem_Malloc(4 * PLAIN)))
        return (PyObject *)self;
    if (self && !PyErr_Occurred())
        PyErr_NoMemory();
    Py_XDECREF(self);
    return NULL;
}

static void free_burst(PyObject *self)
{
    Py_XDECREF(((Burst *)self)->moment);
    PyMem_Free(((Burst *)self)->in);
    PyMem_Free(((Burst *)self)->out);
    PyMem_Free(((Burst *)self)->records);
    Py_XDECREF(((Burst *)self)->pattern);
    Py_TYPE(self)->tp_free(self);
}

static int put_moment(Burst *self, PyObject **place, double now)
{
    if ((!self->moment || PyFloat_AS_DOUBLE(self->moment) != now) && !put_time(&self->moment, now))
        return 0;
    put_ref(place, self->moment);
    return 1;
}

/* Write the answers; what the socket does not take goes into the outbox, before anything else. A failure shows again when Python
   writes the rest. Returns 1, 0 if something is left, -1 after an exception. */
static int write_out(Burst *self)
{
    Py_ssize_t size = self->size;
    if (size && self->holder) { /* Python commits the log before it writes */
        Py_ssize_t records_size = self->records_size, recorded = self->recorded;
        const char *records = self->records ? self->records : ""; /* a farewell is no record */
        self->size = self->records_size = self->recorded = 0;
        return called(PyObject_CallMethod(self->holder, "hold", "Oy#y#n", self->end, self->out, size, records, records_size, recorded)) ? 0
                                                                                                                                      : -1;
    }
    Py_ssize_t written = write_some(self->socket, self->out, size);
    self->size = 0;
    if (written == size)
        return 1;
    return called(PyObject_CallMethod(self->end, "owe", "y#", self->out + written, size - written)) ? 0 : -1;
}

/* `Burst.flush()`; the flusher calls it while the handler runs. */
static PyObject *flush(PyObject *self, PyObject *Py_UNUSED(none))
{
    return write_out((Burst *)self) < 0 ? NULL : Py_NewRef(Py_None);
}

/* Whether this process is a forked child of the server. Then it writes nothing. */
static inline int in_child(Burst *self, PyObject *engine)
{
    if (ours(AT(engine, Engine, forked), AT(engine, Engine, _owner)))
        return 0;
    self->size = 0;
    return 1;
}

/* Write the answers. Returns whether it raised nothing. */
static inline int settle(Burst *self, PyObject *engine, int *more)
{
    if (in_child(self, engine)) {
        PyErr_SetNone(ForkedError);
        return 0;
    }
    int written = write_out(self);
    *more |= written <= 0;
    return written >= 0;
}

static int make_room(Burst *self, Py_ssize_t size) { return make_room_in(&self->out, &self->room, self->size, size); }

/* ---- the log: the records of `log/entry.py`, each after its size, as `log/sqlite_rows.py` joins them */

static uint32_t crcs[8][256];

static void begin_crc(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
        crcs[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int table = 1; table < 8; table++)
            crcs[table][i] = crcs[table - 1][i] >> 8 ^ crcs[0][crcs[table - 1][i] & 0xFF];
}

/* `binascii.crc32`, eight bytes at once. */
static uint32_t crc32_of(const unsigned char *at, Py_ssize_t size, uint32_t before)
{
    uint32_t crc = ~before;
    for (; size >= 8; size -= 8, at += 8) {
        crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        crc = crcs[7][crc & 0xFF] ^ crcs[6][crc >> 8 & 0xFF] ^ crcs[5][crc >> 16 & 0xFF] ^ crcs[4][crc >> 24] ^ crcs[3][at[4]] ^
              crcs[2][at[5]] ^ crcs[1][at[6]] ^ crcs[0][at[7]];
    }
    for (; size > 0; size--, at++)
        crc = crc >> 8 ^ crcs[0][(crc ^ *at) & 0xFF];
    return ~crc;
}

static PyObject *header_of(PyObject *end) { return AT(AT(end, ServerConnection, _decoder), Decoder, _header); }

#define HEAD (4 + 57) /* the size of the record, and what is before the frame */

static int make_room_for_record(Burst *self, PyObject *end, Py_ssize_t length)
{
    Py_ssize_t size = HEAD + PyBytes_GET_SIZE(header_of(end)) + 4 + length + 1;
    return make_room_in(&self->records, &self->records_room, self->records_size, size);
}

/* Add the record of a message of this client, and of its plain answer, which has these frames. There is room for it. */
static void record(Burst *self, PyObject *end, PyObject *given, const char *content, Py_ssize_t length, const char *frames, Py_ssize_t size)
{
    PyObject *peer = AT(end, ServerConnection, peer), *header = header_of(end);
    Py_ssize_t whole = HEAD - 4 + PyBytes_GET_SIZE(header) + 4 + length + 1;
    uint32_t crc = crc32_of((const unsigned char *)frames, size, crc32_of((const unsigned char *)"continue", 8, 0));
    double now = PyFloat_AsDouble(PyTuple_GET_ITEM(given, 0));
    uint64_t bits;
    char *at = put_four(self->records + self->records_size, (uint32_t)whole);
    memcpy(&bits, &now, 8);
    *at++ = 1; /* `_IS_CAME` */
    at = put_eight(put_eight(at, bits), (uint64_t)size << 32 | crc);
    at = put_integer(put_integer(put_integer(put_integer(at, AT(peer, Peer, connection)), AT(peer, Peer, pid)), AT(peer, Peer, uid)),
                     AT(peer, Peer, gid));
    at = put_integer(at, AT(end, ServerConnection, number));
    put_content(put_bytes(at, header), content, length);
    self->records_size += whole + 4;
    self->recorded++;
}

/* Whether the next message of this client is the next one to fold, and nothing of it waits in Python. */
static int can_fold(PyObject *engine, PyObject *end)
{
    PyObject *fold = AT(AT(engine, Engine, _core), ServerCore, _fold);
    return AT(engine, Engine, _ending) == Py_False && AT(fold, Fold, stopped) == Py_False &&
           AT(fold, Fold, asked) == Py_None && !PyObject_Size(AT(fold, Fold, waiting)) &&
           (AT(end, ServerConnection, state) == SERVER_TALKING || AT(end, ServerConnection, state) == SERVER_GREETED) &&
           AT(end, ServerConnection, waiting) == Py_False && AT(end, ServerConnection, behind) == Py_False &&
           AT(end, ServerConnection, told) == Py_False && AT(end, ServerConnection, hearing) == Py_True &&
           !PyObject_Size(AT(end, ServerConnection, _frames)) &&
           is_zero(AT(AT(end, ServerConnection, outbox), Outbox, size)) && at_frames(AT(end, ServerConnection, _decoder));
}

/* Lend the socket to the flusher for a call of the handler, if answers wait. Returns 1 if it is lent, -1 after an exception. */
static int lend(Burst *self, PyObject *engine, PyObject *flusher)
{
    if (!self->size)
        return 0;
    if (AT(flusher, Flusher, _asleep) == Py_False)
        return put_next(&AT(flusher, Flusher, _calls)) ? 1 : -1;
    PyObject *lent = PyObject_CallMethodNoArgs(flusher, n_lend);
    int result = lent ? lent == Py_True : -1;
    Py_XDECREF(lent);
    if (!result && self->holder)
        return called(PyObject_CallMethod(engine, "flush", NULL)) ? 0 : -1;
    return !result && write_out(self) < 0 ? -1 : result;
}

static int take_back(PyObject *flusher)
{
    if (AT(flusher, Flusher, _busy) != Py_False)
        return called(PyObject_CallMethodNoArgs(flusher, n_take_back));
    return put_next(&AT(flusher, Flusher, _calls));
}

/* Call the handler as the function in Python does. Returns NULL after an exception, and sets `failed` if it was the handler's. */
static PyObject *asked(Burst *self, PyObject *loop, PyObject *message, PyObject *continuation, PyObject *carry, int *failed)
{
    PyObject *engine = AT(loop, Loop, _engine), *flusher = AT(loop, Loop, _flusher), *type, *value, *traceback;
    PyObject *args[] = {message, continuation, carry};
    int lent = lend(self, engine, flusher);
    if (lent < 0)
        return NULL;
    put_ref(&AT(loop, Loop, _interruptible), Py_True);
    PyObject *answer = PyObject_Vectorcall(AT(loop, Loop, _handler), args, 3, NULL);
    put_ref(&AT(loop, Loop, _interruptible), Py_False);
    *failed = !answer;
    PyErr_Fetch(&type, &value, &traceback);
    if (lent && AT(engine, Engine, forked) == Py_False && !take_back(flusher)) {
        Py_XDECREF(type), Py_XDECREF(value), Py_XDECREF(traceback);
        Py_CLEAR(answer);
        *failed = 0;
        return NULL;
    }
    PyErr_Restore(type, value, traceback);
    if (answer && in_child(self, engine)) {
        PyErr_SetNone(ForkedError);
        Py_CLEAR(answer);
    }
    if (answer && AT(flusher, Flusher, failure) != Py_None) { /* nobody knows what is written */
        PyErr_SetObject((PyObject *)Py_TYPE(AT(flusher, Flusher, failure)), AT(flusher, Flusher, failure));
        Py_CLEAR(answer);
    }
    return answer;
}

/* Tell the loop of the exception of the handler, once the answers before it are written. Returns whether the loop raised nothing. */
static int told(Burst *self, PyObject *loop)
{
    PyObject *type, *value, *traceback;
    int more = 0, result;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback)
        PyException_SetTraceback(value, traceback);
    if (!settle(self, AT(loop, Loop, _engine), &more))
        PyErr_Clear(); /* the loop notices a fork, too */
    result = called(PyObject_CallMethodOneArg(loop, n_failed, value));
    Py_XDECREF(type), Py_XDECREF(value), Py_XDECREF(traceback);
    return result;
}

/* Whether an answer has no effects: it has what its continuation was given, or the same and a guard, which only a wrong answer needs. */
static int has_no_effects(PyObject *answer, PyObject *given)
{
    PyObject *own = AT(answer, Continuation, _given);
    return own == given || (own && PyTuple_CheckExact(own) && PyTuple_GET_SIZE(own) > 3 && PyTuple_GET_ITEM(own, 2) == Py_None &&
                            PyTuple_GET_ITEM(own, 0) == PyTuple_GET_ITEM(given, 0) && PyTuple_GET_ITEM(own, 1) == PyTuple_GET_ITEM(given, 1));
}

/* Keep a plain answer: the next carry, the acknowledgement and the responses. Returns 0 if Python has to judge it. */
static int keep(Burst *self, PyObject *core, PyObject *end, PyObject *given, PyObject *answer, const char *content, Py_ssize_t length,
                double now)
{
    PyObject *fold = AT(core, ServerCore, _fold), *encoder = AT(core, ServerCore, _encoder), *responses;
    if (!IS(answer, Continuation) || AT(answer, Continuation, peer) != AT(end, ServerConnection, peer) ||
        AT(answer, Continuation, outcome) != CONTINUE || !AT(answer, Continuation, carry) || !has_no_effects(answer, given) ||
        !(responses = AT(answer, Continuation, responses)) || !PyTuple_CheckExact(responses) || AT(fold, Fold, stopped) != Py_False ||
        AT(end, ServerConnection, state) != SERVER_TALKING || !is_zero(AT(AT(end, ServerConnection, outbox), Outbox, size)))
        return 0;
    Py_ssize_t count = PyTuple_GET_SIZE(responses), signal = PyBytes_GET_SIZE(ACKNOWLEDGEMENT);
    if (count && !begin_type(PyTuple_GET_ITEM(responses, 0), encoder))
        return 0;
    Py_ssize_t size = count ? frames_size(&PyTuple_GET_ITEM(responses, 0), count, encoder, PLAIN) : 0;
    if (self->holder && !make_room_for_record(self, end, length))
        return 0;
    double timeout = seconds(AT(fold, Fold, _timeout));
    if ((count && !size) || !make_room(self, signal + size) ||
        (isfinite(timeout) && !put_time(&AT(fold, Fold, deadline), now + timeout)))
        return 0;
    char *frames = put_bytes(self->out + self->size, ACKNOWLEDGEMENT);
    write_frames(frames, &PyTuple_GET_ITEM(responses, 0), count, encoder);
    if (self->holder)
        record(self, end, given, content, length, frames, size);
    self->size += signal + size;
    put_ref(&AT(fold, Fold, asked), Py_None);
    put_ref(&AT(fold, Fold, _carry), AT(answer, Continuation, carry));
    self->folded++;
    return 1;
}

/* Fold one message. Returns 1, 0 after an exception; `more` says that Python has to look after this client or the fold. */
static int fold_one(Burst *self, PyObject *loop, PyObject *end, const char *content, Py_ssize_t size, double *now, int *more)
{
    PyObject *engine = AT(loop, Loop, _engine), *core = AT(engine, Engine, _core), *fold = AT(core, ServerCore, _fold);
    PyObject *decoder = AT(end, ServerConnection, _decoder), *carry = Py_NewRef(AT(fold, Fold, _carry)), *answer = NULL, *pair;
    PyObject *message = new_message(AT(decoder, Decoder, _usual), content, size);
    PyObject *given = message ? new_given(AT(fold, Fold, _time), &AT(end, ServerConnection, number)) : NULL;
    PyObject *continuation = given ? new_continuation(carry, EMPTY, CONTINUE, AT(end, ServerConnection, peer), given) : NULL;
    int failed = 0, result = 0;
    if (continuation && (pair = PyTuple_Pack(2, message, continuation))) {
        put(&AT(fold, Fold, asked), pair);
        answer = asked(self, loop, message, continuation, carry, &failed);
        *now = monotonic();
    }
    if (answer && keep(self, core, end, given, answer, content, size, *now)) {
        result = 1;
        *more = PyObject_Size(AT(fold, Fold, waiting)) != 0; /* the flusher may have found something */
    } else if (failed) {
        *more = 1;
        result = told(self, loop);
    } else if (answer) {
        PyErr_Clear(); /* of memory; Python needs less, or tells this client */
        *more = 1;
        self->spread |= IS(answer, Continuation) && !has_no_effects(answer, given);
        put_ref(&AT(end, ServerConnection, waiting), Py_True);
        result = settle(self, engine, more) && called(PyObject_CallMethod(engine, "answered", "Odd", answer, *now, *now));
    }
    Py_DECREF(carry);
    Py_XDECREF(message);
    Py_XDECREF(given);
    if (answer == continuation)
        Py_CLEAR(answer);
    drop_continuation(continuation);
    drop_continuation(answer);
    return result;
}

#ifdef __linux__
/* ---- connections begin and end */

/* Look at this connection when it is due, or at this earlier time. Returns whether it raised nothing. */
static int watch(Burst *self, PyObject *engine, PyObject *end, double early)
{
    int result = called(PyObject_CallMethod(AT(engine, Engine, _core), "_watch", "Od", end, early));
    self->due = fmin(self->due, result ? PyFloat_AsDouble(AT(end, ServerConnection, due)) : INFINITY);
    return result;
}

/* Whether nobody is told of connections. An observer keeps the whole engine from being accelerated. */
static int is_quiet(PyObject *engine)
{
    PyObject *wanted = PyObject_CallMethod(AT(engine, Engine, _log), "wants", "i", 10); /* logging.DEBUG */
    Py_XDECREF(wanted);
    PyErr_Clear(); /* of a logger of the program; Python asks again */
    return wanted == Py_False;
}

static void move_end(PyObject *end, PyObject *state)
{
    put_ref(&AT(end, ServerConnection, state), state);
    put_ref(&AT(end, ServerConnection, _row), PyDict_GetItem(SERVER_ROWS, state));
}

/* Add a client, as `Engine._admit` does. Returns 1, 0 if Python has to look after it, -1 after an exception. */
static int admit(Burst *self, PyObject *engine, PyObject *stream, int descriptor, PyObject *peer, int poller, PyObject *things, double now)
{
    PyObject *core = AT(engine, Engine, _core), *transports = AT(AT(engine, Engine, _transports), Transports, _transports);
    PyObject *number = AT(peer, Peer, connection), *key = PyLong_FromLong(descriptor), *end = NULL;
    PyTypeObject *type = (PyTypeObject *)ClientSocket;
    PyObject *client = key ? type->tp_alloc(type, 0) : NULL;
    struct epoll_event event = {EPOLLIN, {.fd = descriptor}};
    Py_ssize_t size = PyBytes_GET_SIZE(GREETING);
    int added = client && (self->pattern || (self->pattern = PyObject_CallMethod(core, "greeted", NULL))) && (end = copy(self->pattern)) &&
                put_moment(self, &AT(end, ServerConnection, _since), now);
    if (added) {
        put_ref(&AT(end, ServerConnection, peer), peer);
        AT(client, ClientSocket, _stream) = Py_NewRef(stream);
        AT(client, ClientSocket, _end) = Py_NewRef(end);
        AT(client, ClientSocket, _poller) = Py_NewRef(AT(engine, Engine, _poller));
        AT(client, ClientSocket, _log) = Py_NewRef(AT(engine, Engine, _log));
        AT(client, ClientSocket, _now) = Py_NewRef(AT(engine, Engine, now));
        AT(client, ClientSocket, _lost) = Py_NewRef(Py_False);
        AT(client, ClientSocket, _wide) = Py_NewRef(Py_False);
        AT(client, ClientSocket, interest) = Py_NewRef(ZERO);
        added = !PyDict_SetItem(AT(core, ServerCore, _ends), number, end) && !PyDict_SetItem(transports, number, client) &&
                /* early enough for the first heartbeat, so that an acceptance needs no other time */
                watch(self, engine, end, now + PyFloat_AsDouble(AT(end, ServerConnection, _heartbeat))) &&
                called(PyObject_CallMethodOneArg(AT(core, ServerCore, _fold), n_join, peer));
    }
    if (added && !epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event))
        added = !PyDict_SetItem(things, key, client) && put_number(&AT(client, ClientSocket, interest), EPOLLIN);
    else if (added) /* Python tries again, and drops this client */
        added = !PyDict_SetItem(AT(core, ServerCore, _attention), number, end);
    if (added) {
        self->end = end;
        self->socket = descriptor;
        added = make_room(self, size) ? 1 : (PyErr_NoMemory(), 0);
    }
    if (added) {
        put_bytes(self->out, GREETING);
        self->size = size;
        PyObject *holder = self->holder;
        self->holder = NULL; /* a greeting tells of nothing that a log has */
        added = write_out(self) + 1;
        self->holder = holder;
    }
    self->end = NULL;
    if (added == 2 && is_zero(AT(client, ClientSocket, interest)))
        added = 1;
    Py_XDECREF(key), Py_XDECREF(client), Py_XDECREF(end);
    return added - 1;
}

/* Accept the clients in the backlog. Returns 1, 0 if Python has to, -1 after an exception; `more` says that Python has to look at what has
   changed. */
static int accept_clients(Burst *self, PyObject *engine, PyObject *listener, int poller, PyObject *things, double now, int *more)
{
    PyObject *core = AT(engine, Engine, _core), *fold = AT(core, ServerCore, _fold), *user = AT(core, ServerCore, _user);
    PyObject *limits = AT(core, ServerCore, _limits);
    int door, descriptor, going = 1;
    if (AT(engine, Engine, _trust) != same_user || number(user) != (Py_ssize_t)geteuid() || AT(engine, Engine, _ending) != Py_False ||
        AT(core, ServerCore, accepting) != Py_True || AT(fold, Fold, stopped) != Py_False || AT(listener, Listener, _before) != Py_None ||
        AT(listener, Listener, _accept_at) != Py_None || AT(listener, Listener, _short) != Py_False || !is_quiet(engine) ||
        (door = PyObject_AsFileDescriptor(AT(listener, Listener, _listener))) < 0)
        return PyErr_Occurred() ? -1 : 0;
    for (int i = 0; i < ACCEPTED && going > 0; i++) {
        if (PyDict_Size(AT(core, ServerCore, _ends)) >= limit(AT(limits, Limits, connections)))
            return 0;
        if ((descriptor = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
            return errno == EAGAIN || errno == ECONNABORTED; /* Python sees any other failure again */
        PyObject *stream = new_stream(descriptor), *peer;
        if (!stream && PyErr_ExceptionMatches(PyExc_OSError)) {
            PyErr_Clear(); /* the system refuses to prepare this client's socket, which is closed */
            continue;
        }
        if (!stream)
            return -1;
        peer = new_peer(number(AT(engine, Engine, _accepted)) + 1, descriptor, AT(engine, Engine, _run));
        if (peer && number(AT(peer, Peer, uid)) == number(user) && !in_child(self, engine)) {
            put_ref(&AT(engine, Engine, _accepted), AT(peer, Peer, connection));
            going = admit(self, engine, stream, descriptor, peer, poller, things, now);
            *more |= !going;
            going = going < 0 ? -1 : 1;
            self->admitted++;
        } else if (!PyErr_Occurred()) {
            *more = 1;
            going = called(PyObject_CallMethod(engine, "_admit", "Od", stream, now)) ? 1 : -1;
        } else
            going = -1;
        Py_XDECREF(peer);
        Py_DECREF(stream);
    }
    return going;
}

/* Note that the client has accepted the greeting. */
static int accepted(Burst *self, PyObject *engine, PyObject *end, double now)
{
    double due = now + PyFloat_AsDouble(AT(end, ServerConnection, _heartbeat));
    move_end(end, SERVER_TALKING);
    return due >= PyFloat_AsDouble(AT(end, ServerConnection, due)) || watch(self, engine, end, due);
}

/* Whether these bytes ask to close, and nobody is told of it. An alarm that is due comes before the departure. */
static int is_farewell(PyObject *engine, PyObject *end, const char *at, const char *last, double now)
{
    PyObject *peer = AT(end, ServerConnection, peer), *fold = AT(AT(engine, Engine, _core), ServerCore, _fold);
    return last - at == PyBytes_GET_SIZE(FAREWELL) && begins(at, last, FAREWELL) &&
           AT(end, ServerConnection, state) == SERVER_TALKING && now < seconds(AT(fold, Fold, rings)) &&
           number(AT(peer, Peer, uid)) == number(AT(AT(engine, Engine, _core), ServerCore, _user)) && is_quiet(engine);
}

/* Note that the client is gone, as `Fold.depart` does. Nothing waits before its departure, so if nobody is told of it, it is taken at
   once, as `Fold.ask` does. Returns whether it raised nothing. */
static int depart(PyObject *fold, PyObject *peer, int *more)
{
    if (AT(fold, Fold, _left) == Py_False)
        return called(PyObject_CallMethodOneArg(AT(fold, Fold, _members), n_leave, peer));
    *more = 1;
    return called(PyObject_CallMethodOneArg(fold, n_depart, peer));
}

static int forget(PyObject *dict, PyObject *key)
{
    return !PyDict_DelItem(dict, key) || (PyErr_ExceptionMatches(PyExc_KeyError) && (PyErr_Clear(), 1));
}

/* Confirm the end of the connection, and close it. Returns whether it raised nothing. */
static int part(Burst *self, PyObject *engine, PyObject *client, int poller, PyObject *things, double now, int *more)
{
    PyObject *core = AT(engine, Engine, _core), *end = self->end, *number = AT(AT(end, ServerConnection, peer), Peer, connection);
    Py_ssize_t size = PyBytes_GET_SIZE(CONFIRMATION);
    int rest = 0;
    if (!make_room(self, size))
        return PyErr_NoMemory(), 0;
    put_bytes(self->out + self->size, CONFIRMATION);
    self->size += size;
    if (!put_moment(self, &AT(end, ServerConnection, _since), now))
        return 0;
    move_end(end, SERVER_OVER);
    put_ref(&AT(end, ServerConnection, hearing), Py_False);
    put_ref(&AT(end, ServerConnection, moved), Py_True);
    put_ref(&AT(end, ServerConnection, _ended_by), CLOSE);
    if (!settle(self, engine, &rest))
        return 0;
    *more |= rest;
    if (rest)
        return 1; /* Python writes the rest, and closes */
    PyObject *key = PyLong_FromLong(self->socket);
    epoll_ctl(poller, EPOLL_CTL_DEL, self->socket, NULL); /* a child that was started meanwhile may keep the socket open */
    put_ref(&AT(client, ClientSocket, interest), ZERO);
    int parted = key && put_time(&AT(end, ServerConnection, due), -INFINITY) && forget(things, key) &&
                 forget(AT(AT(engine, Engine, _transports), Transports, _transports), number) &&
                 forget(AT(core, ServerCore, _attention), number) && forget(AT(core, ServerCore, _ends), number) &&
                 depart(AT(core, ServerCore, _fold), AT(end, ServerConnection, peer), more);
    shut(AT(client, ClientSocket, _stream));
    self->parted++;
    if (self->pattern)
        remember(AT(self->pattern, ServerConnection, _decoder), NULL, AT(end, ServerConnection, _decoder));
    Py_XDECREF(key);
    return parted;
}
#endif

/* Fold what a client has sent to this socket, for at most `share` seconds; the socket of a client that talks is open. Returns 1, 0 if
   Python has to look at the event, -1 after an exception. */
static int serve(Burst *self, PyObject *loop, PyObject *client, int socket, int poller, PyObject *things, double *now, double share,
                 int *more)
{
    PyObject *engine = AT(loop, Loop, _engine), *end = AT(client, ClientSocket, _end), *decoder = AT(end, ServerConnection, _decoder);
    PyObject *type, *value, *traceback;
    const char *content;
    Py_ssize_t size, length, had;
    PyObject *fold = AT(AT(engine, Engine, _core), ServerCore, _fold);
    Py_ssize_t most = self->holder ? HELD : PLAIN;
    int stop = 0, going = 1;
    if (!can_fold(engine, end) || *now >= seconds(AT(fold, Fold, rings)))
        return 0;
    self->socket = socket;
    had = waiting_bytes(decoder);
    ssize_t got = recv(self->socket, self->in + had, self->holder ? 2 * PLAIN : PLAIN, MSG_DONTWAIT);
    if (got <= 0) /* Python reads again, and gets the same end or failure */
        return 0;
    const char *at = self->in, *last = at + had + got;
    double until = *now + share;
    copy_waiting(decoder, self->in);
    int greeted = AT(end, ServerConnection, state) == SERVER_GREETED;
    if (greeted && !had && begins(at, last, ACCEPTANCE)) {
        at += PyBytes_GET_SIZE(ACCEPTANCE);
        greeted = 0;
        if (!accepted(self, engine, end, *now))
            return -1;
    }
    if (!greeted && !put_moment(self, &AT(end, ServerConnection, _since), *now))
        return -1;
    self->end = end;
    while (!stop && going && !greeted && (at == self->in || (*now < until && *now < seconds(AT(fold, Fold, rings))))) {
        size = plain_or_learned(at, last, decoder, &content, &length);
        going = size >= 0;
        if (size <= 0)
            break;
        if (at == self->in) {
            drop_waiting(decoder);
            put_ref(&AT(end, ServerConnection, _begun), Py_None); /* a frame that began earlier is whole */
        }
        at += size;
        going = fold_one(self, loop, end, content, length, now, &stop) && (self->size <= most || settle(self, engine, &stop));
    }
    if (at < last && !stop && going && (at > self->in || !had) && is_farewell(engine, end, at, last, *now)) {
        at = last;
        going = part(self, engine, client, poller, things, *now, &stop);
    } else
        going = going && settle(self, engine, &stop);
    PyErr_Fetch(&type, &value, &traceback); /* what follows an interrupted message is kept, because its client is still asked to close */
    if (!going && self->holder && self->size && !in_child(self, engine) && write_out(self) < 0)
        PyErr_Clear(); /* the log gets what is folded, whatever was raised */
    if (at < last && (going || !in_child(self, engine))) {
        stop = 1;
        at += at == self->in ? had : 0; /* if nothing is taken, the decoder still has the beginning */
        going = called(PyObject_CallMethod(end, "receive", "y#d", at, (Py_ssize_t)(last - at), *now)) && going;
    }
    self->end = NULL;
    *more |= stop;
    if (type)
        PyErr_Restore(type, value, traceback);
    return going ? 1 : -1;
}

#ifdef __linux__
/* Note that the time since the sockets were read is over, for which nobody is late; as `ServerCore.turn` does. */
static int account(Burst *self, PyObject *engine, double heard, double now)
{
    PyObject *core = AT(engine, Engine, _core), *shared = AT(core, ServerCore, shared);
    double from = seconds(AT(core, ServerCore, _accounted));
    put_ref(&AT(engine, Engine, _rotated), ZERO);
    return put_moment(self, &AT(engine, Engine, _heard), heard) && put_moment(self, &AT(core, ServerCore, _accounted), now) &&
           put_time(&AT(shared, Shared, paused), seconds(AT(shared, Shared, paused)) + fmax(0.0, now - from));
}

/* All messages of one wait are taken at this time, which never decreases. Returns whether it raised nothing. */
static int set_clock(Burst *self, PyObject *core, double now)
{
    PyObject *fold = AT(core, ServerCore, _fold);
    if (now >= self->clocked) {
        if (!called(PyObject_CallMethod(core, "clock", "d", epoch() - now)))
            return 0;
        self->clocked = now + CLOCK;
    }
    double time = now + seconds(AT(fold, Fold, _offset));
    return time <= seconds(AT(fold, Fold, _time)) || put_time(&AT(fold, Fold, _time), time);
}

/* What is watched at this descriptor. */
static PyObject *watched(PyObject *things, int descriptor)
{
    PyObject *key = PyLong_FromLong(descriptor), *thing = key ? PyDict_GetItemWithError(things, key) : NULL;
    if (key && !thing && !PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, key);
    Py_XDECREF(key);
    return Py_XNewRef(thing);
}

/* `Burst.wait(loop, poller, things, seconds)`: wait for events, and fold the plain messages among them. Ends when Python is needed.
   Returns the other events. */
static PyObject *wait_for_events(PyObject *burst, PyObject *const *args, Py_ssize_t count)
{
    struct epoll_event events[EVENTS];
    PyObject *things[EVENTS];
    if (count != 4 || !PyObject_TypeCheck(args[0], (PyTypeObject *)Loop) || !PyDict_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError, "a loop, a descriptor, a dict and seconds are wanted");
        return NULL;
    }
    Burst *self = (Burst *)burst;
    PyObject *loop = args[0], *engine = AT(loop, Loop, _engine), *others = PyList_New(0);
    int poller = (int)number(args[1]), ready = 0, more = 0;
    self->spread = 0;
    self->holder = AT(engine, Engine, logged) == Py_None ? NULL : AT(engine, Engine, _core);
    double now = monotonic(), until = now + PyFloat_AsDouble(args[3]);
    while (others && !more) {
        int pause = (int)ceil(1000 * fmax(0.0, until - now)), plain = 1, known = 0;
        Py_BEGIN_ALLOW_THREADS
        ready = epoll_wait(poller, events, EVENTS, pause);
        Py_END_ALLOW_THREADS
        if (ready < 0 && (errno != EINTR || PyErr_CheckSignals())) {
            if (!PyErr_Occurred())
                PyErr_SetFromErrno(PyExc_OSError);
            Py_CLEAR(others);
            break;
        }
        self->due = INFINITY;
        double heard = now = monotonic(), share = fmax(SHARE, BURST / fmax(1, ready));
        if (!set_clock(self, AT(engine, Engine, _core), now)) {
            Py_CLEAR(others);
            break;
        }
        more = ready <= 0 || ready == EVENTS || now >= until;
        /* Nothing was paused during the wait. */
        if (ready > 0 && !put_moment(self, &AT(AT(engine, Engine, _core), ServerCore, _accounted), now))
            Py_CLEAR(others);
        for (; others && known < ready && (things[known] = watched(args[2], events[known].data.fd)); known++)
            plain = plain && events[known].events == EPOLLIN &&
                    (IS(things[known], Listener) ||
                     (IS(things[known], ClientSocket) && number(AT(things[known], ClientSocket, interest)) == EPOLLIN));
        if (known < ready)
            Py_CLEAR(others);
        for (int i = 0; plain && others && i < known; i++)
            if (IS(things[i], Listener) && (plain = accept_clients(self, engine, things[i], poller, args[2], now, &more)) < 0)
                Py_CLEAR(others);
        /* Python handles what is not plain before anything is folded: it accepts clients, and sees signals. */
        for (int i = 0; i < known; i++) {
            int served = plain && others && IS(things[i], Listener);
            if (plain && others && !served && !self->spread)
                served = serve(self, loop, things[i], events[i].data.fd, poller, args[2], &now, share, &more);
            if (!served && others) {
                PyObject *other = Py_BuildValue("(OI)", things[i], events[i].events);
                more = 1;
                if (!other || PyList_Append(others, other))
                    served = -1;
                Py_XDECREF(other);
            }
            if (served < 0)
                Py_CLEAR(others);
            Py_DECREF(things[i]);
        }
        until = fmin(until, self->due);
        if (others && ready > 0 && ready < EVENTS && !account(self, engine, heard, now))
            Py_CLEAR(others);
    }
    if (!others)
        self->size = self->records_size = self->recorded = 0;
    self->ready = ready < 0 ? 0 : ready;
    return others;
}
#endif

/* ---- the module */

typedef PyObject *(*Function)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

/* A function in C, what has to be known for it, and the type of its first argument. */
static const struct Fast {
    const char *name;
    Function function;
    int (*knows)(void);
    PyObject **type;
} FUNCTIONS[] = {
    {"message", init_message, knows_values, &Message}, {"respond", respond, knows_values, &Continuation},
    {"encode", encode, knows_frames, &Encoder},
    {"receive", receive, knows_client, &ClientConnection}, {"send", send_, knows_client, &Process},
    {"wait", wait_, knows_client, &Process}, {"ask", ask, knows_client, &Process},
    {"ask_alone", ask_alone, knows_tasks, &Channel}, {"hear_tasks", hear_tasks, knows_tasks, &Channel},
    {"connect", connect_, knows_client, &Name}, {"find", find_, knows_client, &IPC}, {"close", close_, knows_client, &Process},
};

/* A function in C before one in Python. If the first returns NULL without an exception, the second is called. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    const struct Fast *fast;
    PyObject *python;
    Py_ssize_t taken; /* calls that the first has answered */
} Pair;

static int enabled = 1;

static PyObject *call_pair(PyObject *callable, PyObject *const *args, size_t flags, PyObject *names)
{
    Pair *self = (Pair *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    PyObject *result = NULL;
    if (enabled && count && self->fast->knows() && IS(args[0], *self->fast->type))
        result = self->fast->function(self->python, args, count, names);
    if (result)
        self->taken++;
    return result || PyErr_Occurred() ? result : PyObject_Vectorcall(self->python, args, flags, names);
}

static PyObject *bind_pair(PyObject *self, PyObject *object, PyObject *Py_UNUSED(type))
{
    return object && object != Py_None ? PyMethod_New(self, object) : Py_NewRef(self);
}

static PyObject *attribute_of_pair(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(self, name);
    if (found || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return found;
    PyErr_Clear();
    return PyObject_GetAttr(((Pair *)self)->python, name);
}

static PyObject *doc_of_pair(PyObject *self, void *Py_UNUSED(closure)) { return PyObject_GetAttrString(((Pair *)self)->python, "__doc__"); }

static int traverse_pair(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Pair *)self)->python);
    return 0;
}

static int clear_pair(PyObject *self)
{
    Py_CLEAR(((Pair *)self)->python);
    return 0;
}

static void free_pair(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    clear_pair(self);
    PyObject_GC_Del(self);
}

static PyMemberDef PAIR_MEMBERS[] = {
    {"__wrapped__", T_OBJECT, offsetof(Pair, python), READONLY, "The function in Python."},
    {"taken", T_PYSSIZET, offsetof(Pair, taken), READONLY, "The number of calls that needed no Python."},
    {NULL},
};

static PyGetSetDef PAIR_GETSET[] = {{.name = "__doc__", .get = doc_of_pair}, {NULL}};

static PyTypeObject PairType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "ipcfold._fast.Pair",
    .tp_basicsize = sizeof(Pair),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .tp_vectorcall_offset = offsetof(Pair, call),
    .tp_call = PyVectorcall_Call,
    .tp_descr_get = bind_pair,
    .tp_getattro = attribute_of_pair,
    .tp_members = PAIR_MEMBERS,
    .tp_getset = PAIR_GETSET,
    .tp_traverse = traverse_pair,
    .tp_clear = clear_pair,
    .tp_dealloc = free_pair,
};

static PyMethodDef BURST_METHODS[] = {
    {"flush", flush, METH_NOARGS, "Write the answers that wait."},
#ifdef __linux__
    {"wait", (PyCFunction)(void (*)(void))wait_for_events, METH_FASTCALL, "Wait for events, and fold the plain messages."},
#endif
    {NULL},
};

static PyMemberDef BURST_MEMBERS[] = {
    {"folded", T_PYSSIZET, offsetof(Burst, folded), READONLY, "The number of messages folded."},
    {"admitted", T_PYSSIZET, offsetof(Burst, admitted), READONLY, "The number of clients let in."},
    {"parted", T_PYSSIZET, offsetof(Burst, parted), READONLY, "The number of connections closed."},
    {"ready", T_INT, offsetof(Burst, ready), READONLY, "The number of events that the last wait returned."},
    {NULL},
};

static PyTypeObject BurstType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "ipcfold._fast.Burst",
    .tp_basicsize = sizeof(Burst),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = BURST_METHODS,
    .tp_members = BURST_MEMBERS,
    .tp_new = new_burst,
    .tp_dealloc = free_burst,
};

static PyObject *pair(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name;
    PyObject *python;
    if (!PyArg_ParseTuple(args, "sO", &name, &python))
        return NULL;
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++)
        if (!strcmp(FUNCTIONS[i].name, name)) {
            Pair *made = PyObject_GC_New(Pair, &PairType);
            if (made) {
                made->call = call_pair;
                made->fast = &FUNCTIONS[i];
                made->python = Py_NewRef(python);
                made->taken = 0;
                PyObject_GC_Track(made);
            }
            return (PyObject *)made;
        }
    return PyErr_Format(PyExc_LookupError, "there is no %s: the accelerator is of another version, so install ipcfold anew", name);
}

static PyObject *enable(PyObject *Py_UNUSED(module), PyObject *wanted)
{
    int before = enabled, after = PyObject_IsTrue(wanted);
    if (after < 0)
        return NULL;
    enabled = after;
    return PyBool_FromLong(before);
}

static PyObject *is_enabled(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none)) { return PyBool_FromLong(enabled); }

static int start(PyObject *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "the accelerator works in the main interpreter only");
        return -1;
    }
    known_values = known_frames = known_client = known_tasks = known_server = 0;
    begin_crc();
#define NAME(name) (n_##name = PyUnicode_InternFromString(#name))
    n_failed = PyUnicode_InternFromString("_failed");
    EMPTY = PyTuple_New(0), NO_BYTES = PyBytes_FromStringAndSize(NULL, 0), SHORTEST = PyLong_FromLong(7), ZERO = PyLong_FromLong(0);
    if (!NAME(_advance) || !NAME(_begin) || !NAME(_weigh) || !NAME(_write) || !NAME(acquire) || !NAME(append) || !NAME(clear) ||
        !NAME(create_future) || !NAME(depart) || !NAME(done) || !NAME(interrupt) || !NAME(join) || !NAME(leave) || !NAME(lend) ||
        !NAME(popleft) || !NAME(receive) || !NAME(release) || !NAME(set_result) || !NAME(socket) || !NAME(take_back) || !n_failed ||
        !EMPTY || !NO_BYTES || !SHORTEST || !ZERO || PyType_Ready(&PairType) || PyModule_AddType(module, &BurstType))
        return -1;
    return 0;
}

static PyMethodDef METHODS[] = {
    {"pair", pair, METH_VARARGS, "The function of that name before one in Python."},
    {"enable", enable, METH_O, "Whether the functions here are used at all; returns what was before."},
    {"is_enabled", is_enabled, METH_NOARGS, "Whether they are."},
    {NULL},
};

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, (void *)start},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "ipcfold._fast", .m_methods = METHODS, .m_slots = SLOTS};

PyMODINIT_FUNC PyInit__fast(void)
{
#ifdef Py_GIL_DISABLED
    PyErr_SetString(PyExc_ImportError, "the accelerator needs the GIL");
    return NULL;
#else
    return PyModuleDef_Init(&MODULE);
#endif
}
