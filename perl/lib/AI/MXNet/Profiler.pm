package AI::MXNet::Profiler;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use JSON::PP ();

my %config = (filename => 'profile.json');

sub set_config
{
    my ($class, @given) = @_;
    my %given = @given == 1 && ref $given[0] eq 'HASH' ? %{ $given[0] } : @given;
    %config = (%config, %given);
    return;
}

sub start { AI::MXNet::Keshi::set_profiling(1); return }
sub stop { AI::MXNet::Keshi::set_profiling(0); return }

# A trace as text; what was noted is forgotten.
sub trace { return AI::MXNet::Keshi::profile_trace(1) }

sub dump
{    ## no critic (ProhibitBuiltinHomonyms)
    my ($class, $file) = @_;
    $file //= $config{filename};
    open my $out, '>:raw', $file or AI::MXNet::Keshi::fail("profiler: cannot write $file: $!");
    print {$out} trace() or AI::MXNet::Keshi::fail("profiler: cannot write $file: $!");
    close $out or AI::MXNet::Keshi::fail("profiler: cannot write $file: $!");
    return $file;
}

# A span of the user's own; it ends however the sub ends.
sub span
{
    my ($class, $name, $code) = @_;
    my $start = AI::MXNet::Keshi::profile_clock();
    my $wants = wantarray;
    my @result = eval { $wants ? $code->() : scalar $code->() };
    my $error = $@;
    AI::MXNet::Keshi::profile_span($name, $start);
    die $error if $error ne '';    ## no critic (RequireCarping)
    return $wants ? @result : $result[0];
}

# Calls, total and mean microseconds of each operator, the longest first, as rows or as a table.
sub summary
{
    my $class = shift;
    my $events = JSON::PP->new->decode(AI::MXNet::Keshi::profile_trace(0))->{traceEvents};
    my %by;
    for my $event (grep { $_->{ph} eq 'X' } @$events) {
        my $row = $by{"$event->{cat} $event->{name}"} //=
            { name => $event->{name}, category => $event->{cat}, calls => 0, total => 0 };
        $row->{calls}++;
        $row->{total} += $event->{dur};
    }
    my @rows = sort { $b->{total} <=> $a->{total} or $a->{name} cmp $b->{name} } values %by;
    $_->{mean} = $_->{total} / $_->{calls} for @rows;
    return @rows if wantarray;
    my $format = "%-36s %-9s %9s %14s %12s\n";
    return join '', sprintf($format, qw(name category calls total/us mean/us)), map {
        sprintf $format, @$_{qw(name category calls)},
            map { sprintf '%.1f', $_ }
            @$_{qw(total mean)}
    } @rows;
}

# -- MXNet's names

sub profiler_set_config { my ($class, @given) = @_; return $class->set_config(@given) }
sub profiler_set_state { return $_[1] ? start() : stop() }
sub dump_profile { my $class = shift; return $class->dump }

1;

__END__

=head1 NAME

AI::MXNet::Profiler - what takes the time

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use File::Temp qw(tempdir);
    my $profiler = mx->profiler;
    $profiler->start;
    my $x = nd->ones([100, 100]);
    my $y = $profiler->span('two products' => sub { nd->dot(nd->dot($x, $x), $x) });
    $profiler->stop;
    print scalar $profiler->summary;
    $profiler->dump(tempdir(CLEANUP => 1) . '/profile.json');    # open it in chrome://tracing or Perfetto

=head1 DESCRIPTION

Between C<start> and C<stop> every call of an operator is noted, on all threads: when it began, how long it took, on what shapes,
whether in a forward or a backward pass, and how many bytes arrays held after it. While it is off, calls pay nothing.

=over 4

=item start, stop

=item span($name, $sub)

Runs the sub and notes it under a name of one's own; gives what the sub returns.

=item summary

Rows with name, category (C<forward>, C<backward>, C<user>), calls, total and mean in microseconds, the longest first; in scalar
context a table as text.

=item dump($file), trace

Writes, or returns, a trace in Chrome's format, and forgets what was noted.

=item set_config(filename => 'profile.json')

Where C<dump> writes when it is not told.

=item profiler_set_config(\%config), profiler_set_state($on), dump_profile

The same under MXNet's names.

=back

=cut
