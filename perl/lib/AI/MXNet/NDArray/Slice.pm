package AI::MXNet::NDArray::Slice;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed looks_like_number);

my %arithmetic;

BEGIN {
    %arithmetic = (
        '+' => 'add',
        '-' => 'subtract',
        '*' => 'multiply',
        '/' => 'divide',
        '**' => 'power',
        '==' => 'equal',
        '!=' => 'not_equal',
        '>' => 'greater',
        '>=' => 'greater_equal',
        '<' => 'lesser',
        '<=' => 'lesser_equal',
    );
}

sub _binary
{
    my $method = shift;
    return sub {
        my ($self, $other, $swapped) = @_;
        $other = $other->sever if blessed($other) and $other->isa(__PACKAGE__);
        return $self->sever->$method($other, $swapped);
    };
}

use overload
    (map { my $method = $arithmetic{$_}; $_ => _binary($method) } keys %arithmetic), (
    map {
        my $method = $arithmetic{$_};
        "$_=" => sub { $_[0]->set(_binary($method)->(@_[0, 1])) }
    } qw(+ - * / **)
    ),
    '.=' => sub { $_[0]->set($_[1]) },
    '=' => sub { $_[0] },
    'bool' => sub { !!$_[0]->sever },
    '""' => sub { '' . $_[0]->sever };

sub new
{
    my ($class, %fields) = @_;
    return bless {%fields}, $class;
}

sub parent { return $_[0]{parent} }
sub begin { return $_[0]{begin} }
sub end { return $_[0]{end} }

sub shape
{
    my $self = shift;
    return [map { $self->{end}[$_] - $self->{begin}[$_] } 0 .. $#{ $self->{begin} }];
}

sub sever
{
    my $self = shift;
    return AI::MXNet::NDArray->AI::MXNet::NDArray::Base::slice($self->{parent},
        { begin => $self->{begin}, end => $self->{end} });
}

# Writes into the parent and returns it.
sub set
{
    my ($self, $value) = @_;
    my $parent = $self->{parent};
    my %region = (begin => $self->{begin}, end => $self->{end}, out => $parent);
    AI::MXNet::Keshi::fail("$parent is not writable") if not $parent->writable;
    if (not ref $value) {
        AI::MXNet::Keshi::fail("slice: Validation failed for 'AcceptableInput': got "
                . (defined $value ? "'$value'" : 'undef')
                . ', want a number, a list, a PDL or an AI::MXNet::NDArray')
            if not looks_like_number($value);
        AI::MXNet::NDArray->_crop_assign_scalar($parent, { %region, scalar => $value });
        return $parent;
    }
    if (blessed($value) and $value->isa(__PACKAGE__)) {
        $value = $value->sever;
    } elsif (not blessed($value) or not $value->isa('AI::MXNet::NDArray')) {
        $value = AI::MXNet::NDArray->array($value, ctx => $parent->context);
    }
    my @want = @{ $self->shape };
    my @got = @{ $value->shape };
    AI::MXNet::Keshi::fail("slice: value $value does not match slice dim sizes [@want]") if @want != @got;
    AI::MXNet::Keshi::fail("Slice [@want]  != $value given as value") if "@want" ne "@got";
    AI::MXNet::NDArray->_crop_assign($parent, $value, \%region);
    return $parent;
}

sub DESTROY { }

our $AUTOLOAD;

# Everything else reads the elements first.
sub AUTOLOAD
{    ## no critic (ProhibitAutoloading)
    my ($self, @args) = @_;
    my ($method) = $AUTOLOAD =~ /(\w+)$/;
    AI::MXNet::Keshi::fail(qq(Can't locate object method "$method" via package ") . __PACKAGE__ . '"')
        if not ref $self
        or not AI::MXNet::NDArray->can($method);
    return $self->sever->$method(@args);
}

1;

__END__

=head1 NAME

AI::MXNet::NDArray::Slice - a region of an array

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $x = nd->arange(stop => 12)->reshape([3, 4]);
    $x->slice([0, 1], [2, 3]) .= [[1, 2], [3, 4]];       # writes into $x
    $x->slice('X', 0) *= 10;
    print $x->slice(1, 'X')->aspdl;                      # reads
    my $copy = $x->slice([1, 2], [0, 1])->sever;

=head1 DESCRIPTION

What C<slice> gives when it has a spec for each dimension, and C<at> with an index for each. Reading it in any way - a method
of arrays, arithmetic, C<sever> - copies the region; assigning to it with C<.=> or C<set>, and C<+= -= *= /= **=>, writes into
the array it belongs to and returns that array. A value must have exactly the shape of the region, or be a number.

As the right operand of an array, as in C<$array - $slice>, sever it first.

=cut
