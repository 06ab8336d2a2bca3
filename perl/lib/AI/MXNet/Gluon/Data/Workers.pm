package AI::MXNet::Gluon::Data::Workers;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use POSIX ();
use Storable ();
use Time::HiRes ();

# Processes that make batches ahead of their use. Worker w of n makes batches w, w + n, ...; each has a pipe of its own, which the parent
# reads in turn, so that order and contents do not depend on who is faster. A worker that is ahead waits for its pipe.

# What handing over a batch costs: seconds, and seconds for each byte.
use constant { EACH => 2e-4, BYTE => 2e-9 };

# Batches that the parent makes itself, to see whether a process pays.
use constant TRIES => 2;

# Bytes of the pipe, where the system lets us choose.
use constant { F_SETPIPE_SZ => 1031, PIPE => 1 << 20 };

# A sub that returns the next batch, undef at the end.
sub pass
{
    my ($count, $batches, $load) = @_;
    my $base = int rand 2**31;
    my @todo = map { [$base + $_, $batches->[$_]] } 0 .. $#$batches;
    my ($seconds, $bytes, $workers) = (0, 0);
    my $made = 0;
    return sub {
        if ($workers) {
            return $workers->next if $made++ < @$batches;
            undef $workers;
            return;
        }
        my $next = shift @todo or return;
        my $begin = Time::HiRes::time();
        my $batch = seeded($next->[0], sub { $load->($next->[1]) });
        $seconds += Time::HiRes::time() - $begin;
        $bytes += size($batch);
        if (++$made == TRIES and @todo and $seconds > 2 * ($made * EACH + $bytes * BYTE)) {
            $workers = AI::MXNet::Gluon::Data::Workers::Pool->new($count, \@todo, $load);
        }
        return $batch;
    };
}

# Runs a sub with Perl's generator at a known place, and leaves it as if it had drawn one number.
sub seeded
{
    my ($seed, $code) = @_;
    my $after = int rand 2**32;
    srand $seed;
    my $result = $code->();
    srand $after;
    return $result;
}

sub size
{
    my $batch = shift;
    my $bytes = 0;
    for my $part (ref $batch eq 'ARRAY' ? @$batch : $batch) {
        $bytes += ref $part eq 'ARRAY' ? size($part) : Scalar::Util::blessed($part)
            && $part->can('size') ? 4 * $part->size : 64;
    }
    return $bytes;
}

package AI::MXNet::Gluon::Data::Workers::Pool;    ## no critic (ProhibitMultiplePackages)

sub new
{
    my ($class, $count, $todo, $load) = @_;
    $count = @$todo if $count > @$todo;
    my $self = bless { workers => [], turn => 0, process => $$ }, $class;
    for my $w (0 .. $count - 1) {
        my @mine = @{$todo}[grep { $_ % $count == $w } 0 .. $#$todo];
        pipe my $read, my $write or AI::MXNet::Keshi::fail("DataLoader: no pipe: $!");
        fcntl $write, AI::MXNet::Gluon::Data::Workers::F_SETPIPE_SZ, AI::MXNet::Gluon::Data::Workers::PIPE;
        my $pid = fork // AI::MXNet::Keshi::fail("DataLoader: no process: $!");
        if ($pid) {
            close $write;
            push @{ $self->{workers} }, { pid => $pid, pipe => $read };
            next;
        }
        $_->{pipe} && close $_->{pipe} for @{ $self->{workers} };
        close $read;
        _work($write, \@mine, $load);
    }
    return $self;
}

# What a worker does until its process ends.
sub _work
{
    my ($pipe, $todo, $load) = @_;
    local $SIG{PIPE} = 'DEFAULT';
    local $SIG{TERM} = 'DEFAULT';
    local $SIG{INT} = 'IGNORE';
    local $SIG{__DIE__} = 'DEFAULT';
    my $done = eval {
        AI::MXNet::Keshi::set_num_threads(1);
        for my $task (@$todo) {
            my ($seed, $indices) = @$task;
            AI::MXNet::Random->seed($seed);
            _send($pipe, [AI::MXNet::Gluon::Data::Workers::seeded($seed, sub { $load->($indices) })]);
        }
        1;
    };
    my $error = "$@";
    eval { _send($pipe, { error => $error }) } if not $done;
    POSIX::_exit(0);
}

sub _send
{
    my ($pipe, $what) = @_;
    my $bytes = Storable::freeze($what);
    $bytes = pack('Q', length $bytes) . $bytes;
    my $at = 0;
    while ($at < length $bytes) {
        my $sent = syswrite $pipe, $bytes, length($bytes) - $at, $at;
        die "cannot write to the parent: $!\n" if not defined $sent and not $!{EINTR};
        $at += $sent // 0;
    }
    return;
}

sub _receive
{
    my ($pipe, $length) = @_;
    my $bytes = '';
    while (length $bytes < $length) {
        my $got = sysread $pipe, $bytes, $length - length $bytes, length $bytes;
        next if not defined $got and $!{EINTR};
        AI::MXNet::Keshi::fail('DataLoader: a worker ended before its work was done') if not $got;
    }
    return $bytes;
}

sub next    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    my $worker = $self->{workers}[$self->{turn}];
    $self->{turn} = ($self->{turn} + 1) % @{ $self->{workers} };
    my $length = unpack 'Q', _receive($worker->{pipe}, 8);
    my $what = Storable::thaw(_receive($worker->{pipe}, $length));
    AI::MXNet::Keshi::fail("DataLoader: in a worker: $what->{error}") if ref $what eq 'HASH';
    return $what->[0];
}

sub DESTROY
{
    my $self = shift;
    return if $self->{process} != $$;
    local ($?, $!, $@);
    for my $worker (@{ $self->{workers} }) {
        close $worker->{pipe};
        kill TERM => $worker->{pid};
    }
    waitpid $_->{pid}, 0 for @{ $self->{workers} };
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Data::Workers - processes that make batches ahead of their use

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $slow = gluon->data->SimpleDataset([1 .. 8])->transform(sub { Time::HiRes::sleep(0.01); return $_[0]**2 });
    my $loader = gluon->data->DataLoader($slow, batch_size => 2, num_workers => 2);
    print join(' ', $_->aspdl->list), "\n" for @$loader;

=head1 DESCRIPTION

With C<num_workers>, an L<AI::MXNet::Gluon::Data::Loader> hands the batches of a pass in turn to so many forked processes. The numbers of
items are drawn before, so that the order is that of a loader without workers. Before each batch Perl's C<rand> is seeded with a number
that depends on the pass and the batch only: a transform that draws from it gives the same for any number of workers.
C<< mx->random >> is seeded in the processes alone.

The first two batches of a pass are made without processes. If they came faster than they could be handed over, so do the
rest. A die in a worker dies in the loop that asked for the batch. Processes end with their pass, or when the loader goes or is reset.

=cut
