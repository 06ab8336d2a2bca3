package AI::MXNet::Gluon::NN::Pooling;
use 5.014;
use strict;
use warnings;

# The greatest, or the mean, of windows over one, two and three axes, or of all; and padding by reflection.

package AI::MXNet::Gluon::NN::Pool;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has pool_size => (is => 'rw', isa => 'DimSize|Shape', default => 2);
has strides => (is => 'rw', isa => 'Maybe[DimSize|Shape]');
has padding => (is => 'rw', isa => 'DimSize|Shape', default => 0);
has layout => (is => 'ro', isa => 'Str', lazy => 1, default => sub { $_[0]->_layout });
has ceil_mode => (is => 'ro', isa => 'Bool', default => 0);
has count_include_pad => (is => 'ro', isa => 'Bool', default => 1);
has _kwargs => (is => 'rw', init_arg => undef);

sub python_constructor_arguments
{
    my $self = shift;
    return [qw(pool_size strides padding), $self->_axes == 1 ? qw(layout ceil_mode) : ()];
}

sub _alias { return 'pool' }
sub _axes { return $_[0]->class =~ /(\d)D/ ? $1 : undef }
sub _layout { return (undef, 'NCW', 'NCHW', 'NCDHW')[$_[0]->_axes] }
sub _type { return $_[0]->class =~ /Max/ ? 'max' : 'avg' }
sub _global { return 0 }

sub BUILD
{
    my $self = shift;
    my $axes = $self->_axes;
    AI::MXNet::Keshi::fail('Only supports ' . $self->_layout . ' layout for now') if $self->layout ne $self->_layout;
    $self->strides($self->pool_size) if not defined $self->strides;
    for my $name (qw(pool_size strides padding)) {
        my $value = $self->$name;
        $self->$name([($value) x $axes]) if not ref $value;
        AI::MXNet::Keshi::fail("$name must be a number or an array ref of $axes ints") if @{ $self->$name } != $axes;
    }
    $self->_kwargs(
        [
            kernel => $self->pool_size,
            stride => $self->strides,
            pad => $self->padding,
            global_pool => $self->_global,
            pool_type => $self->_type,
            pooling_convention => $self->ceil_mode ? 'full' : 'valid',
            $self->_type eq 'avg' ? (count_include_pad => $self->count_include_pad ? 1 : 0) : ()
        ]
    );
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->Pooling($x, @{ $self->{_kwargs} }, name => 'fwd');
}

sub _text
{
    my $self = shift;
    my ($size, $stride, $padding) = map { '(' . join(',', @{ $self->$_ }) . ')' } qw(pool_size strides padding);
    return sprintf '%s(size=%s, stride=%s, padding=%s, ceil_mode=%d)', $self->class, $size, $stride, $padding,
        $self->ceil_mode;
}

package AI::MXNet::Gluon::NN::GlobalPool;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::NN::Pool';

has '+pool_size' => (default => 1);
has '+ceil_mode' => (default => 1);

sub python_constructor_arguments { return [] }
sub _global { return 1 }

package AI::MXNet::Gluon::NN::Pooling;       ## no critic (ProhibitMultiplePackages)

# The classes differ in their names alone.
for my $axes (1 .. 3) {
    for my $kind (qw(Max Avg)) {
        for my $global ('', 'Global') {
            my $class = "AI::MXNet::Gluon::NN::${global}${kind}Pool${axes}D";
            Mouse::Meta::Class->create($class, superclasses => ["AI::MXNet::Gluon::NN::${global}Pool"]);
            $class->register('AI::MXNet::Gluon::NN');
        }
    }
}

package AI::MXNet::Gluon::NN::ReflectionPad2D;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has padding => (is => 'rw', isa => 'DimSize|Shape', default => 0);

sub python_constructor_arguments { return ['padding'] }

sub BUILD
{
    my $self = shift;
    my $padding = $self->padding;
    $self->padding([(0) x 4, ($padding) x 4]) if not ref $padding;
    AI::MXNet::Keshi::fail('pading must be 8 integer long') if @{ $self->padding } != 8;
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->pad($x, mode => 'reflect', pad_width => $self->{padding});
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

1;
