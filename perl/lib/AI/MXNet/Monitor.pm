package AI::MXNet::Monitor;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
use Scalar::Util qw(blessed weaken);
use Mouse;

# Looks at what an executor computes: a statistic of each output of each node, and of its arguments and states.

has interval => (is => 'ro', isa => 'Int', required => 1);
has stat_func => (
    is => 'ro',
    isa => 'CodeRef',
    default => sub {
        sub { my $x = shift; return $x->norm / sqrt $x->size }
    }
);
has pattern => (is => 'ro', isa => 'Str', default => '.*');
has sort => (is => 'ro', isa => 'Bool', default => 0);
has [qw(queue exes)] => (is => 'rw', init_arg => undef, default => sub { [] });
has [qw(step activated)] => (is => 'rw', init_arg => undef, default => 0);
has re_pattern => (is => 'ro', init_arg => undef, lazy => 1, default => sub { my $p = $_[0]->pattern; qr/$p/ });

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    return $class->$orig(@args % 2 && !ref $args[0] ? (interval => @args) : @args);
};

sub Monitor { my ($class, @args) = @_; return $class->new(@args) }

sub stat_helper
{
    my ($self, $name, $array) = @_;
    return if not $self->activated or $name !~ $self->re_pattern;
    push @{ $self->queue }, [$self->step, $name, $self->stat_func->($array)];
    return;
}

sub install
{
    my ($self, $executor) = @_;
    weaken(my $monitor = $self);    # which holds the executor
    $executor->set_monitor_callback(sub { $monitor->stat_helper(@_) if $monitor });
    push @{ $self->exes }, $executor;
    return;
}

sub tic
{
    my $self = shift;
    if ($self->step % $self->interval == 0) {
        $self->queue([]);
        $self->activated(1);
    }
    $self->step($self->step + 1);
    return;
}

sub toc
{
    my $self = shift;
    return [] if not $self->activated;
    for my $executor (@{ $self->exes }) {
        for my $arrays (map { $executor->$_ } qw(arg_dict aux_dict)) {
            push @{ $self->queue }, [$self->step, $_, $self->stat_func->($arrays->{$_})] for sort keys %$arrays;
        }
    }
    $self->activated(0);
    my @queue = @{ $self->queue };
    @queue = sort { $a->[1] cmp $b->[1] } @queue if $self->sort;
    $self->queue([]);
    return [map { [@{$_}[0, 1], _text($_->[2])] } @queue];
}

sub _text
{
    my @values = ref $_[0] eq 'ARRAY' ? @{ $_[0] } : $_[0];
    return join '',
        map { (blessed $_ && $_->can('aspdl') ? ($_->size == 1 ? $_->asscalar : $_->aspdl) : $_) . "\t" } @values;
}

sub toc_print
{
    my $self = shift;
    AI::MXNet::Logging->info('Batch: %7d %30s %s', @$_) for @{ $self->toc };
    return;
}

__PACKAGE__->meta->make_immutable;
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::Monitor - statistics of what an executor computes

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $monitor = mx->mon->Monitor(10, stat_func => sub { $_[0]->abs->mean }, pattern => '.*output');
    # $monitor->install($executor);
    for my $batch (1 .. 20) {
        $monitor->tic;
        # $executor->forward(1); $executor->backward;
        $monitor->toc_print;
    }

=head1 DESCRIPTION

C<tic> before a batch activates the monitor in every C<interval>th of them; C<toc> after it returns a list of C<[step, name, text]>:
of each output of each node whose name matches C<pattern>, forward and backward, then of all arguments and states. C<toc_print> logs
them. The statistic is the norm over the root of the size, unless C<stat_func> makes another. C<< sort => 1 >> sorts by name.

=cut
