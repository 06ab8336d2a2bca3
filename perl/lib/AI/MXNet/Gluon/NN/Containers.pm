package AI::MXNet::Gluon::NN::Containers;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::HybridBlock;
use Mouse::Role;

# Blocks that run their children in turn, and look like a list of them.

sub children { return [$_[0]{_children}->values] }

sub add
{
    my ($self, @blocks) = @_;
    $self->register_child($_) for @blocks;
    return;
}

# The same kind of container with some of the children.
sub slice
{
    my ($self, $indices) = @_;
    my $children = $self->children;
    my $part = (ref $self)->new(prefix => $self->prefix);
    $part->add(map { $children->[$_] // _no_child($self, $_) } @$indices);
    return $part;
}

sub _no_child
{
    my ($self, $i) = @_;
    return AI::MXNet::Keshi::fail(
        "slice: index $i, and @{[$self->name]} has " . scalar(@{ $self->children }) . ' children');
}

sub _text
{
    my $self = shift;
    my @lines;
    my $iterator = $self->{_children}->iterator;
    while (my ($name, $child) = $iterator->()) {
        push @lines, "  ($name): " . "$child" =~ s/\n/\n  /gr;
    }
    return $self->class . "(\n" . join("\n", @lines) . "\n)";
}

sub _in_turn
{
    my ($self, @in) = @_;
    @in = $_->call(@in) for $self->{_children}->values;
    return @in;
}

no Mouse::Role;

package AI::MXNet::Gluon::NN::Sequential;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::Block';
with 'AI::MXNet::Gluon::NN::Containers';
use overload '@{}' => sub { $_[0]->children };

sub forward { goto &AI::MXNet::Gluon::NN::Containers::_in_turn }

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::HybridSequential;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';
with 'AI::MXNet::Gluon::NN::Containers';
use overload '@{}' => sub { $_[0]->children };

sub hybrid_forward
{
    my ($self, $F, @in) = @_;
    return $self->_in_turn(@in);
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

1;
