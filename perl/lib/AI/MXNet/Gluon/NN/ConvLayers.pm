package AI::MXNet::Gluon::NN::ConvLayers;
use 5.014;
use strict;
use warnings;

# Convolutions over one, two and three axes, and their transposes.

package AI::MXNet::Gluon::NN::Conv;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
use AI::MXNet::Base ();
extends 'AI::MXNet::Gluon::HybridBlock';

has channels => (is => 'ro', isa => 'DimSize', required => 1);
has kernel_size => (is => 'rw', isa => 'DimSize|Shape', required => 1);
has [qw(strides dilation)] => (is => 'rw', isa => 'DimSize|Shape', default => 1);
has [qw(padding output_padding)] => (is => 'rw', isa => 'DimSize|Shape', default => 0);
has groups => (is => 'ro', isa => 'DimSize', default => 1);
has layout => (is => 'ro', isa => 'Str', lazy => 1, default => sub { $_[0]->_layout });
has in_channels => (is => 'ro', isa => 'DimSize', default => 0);
has activation => (is => 'ro', isa => 'Maybe[Str]');
has use_bias => (is => 'ro', isa => 'Bool', default => 1);
has weight_initializer => (is => 'ro', isa => 'Maybe[Initializer]');
has bias_initializer => (is => 'ro', isa => 'Maybe[Initializer]', default => 'zeros');
has _kwargs => (is => 'rw', init_arg => undef);
has [qw(weight bias act)] => (is => 'rw', init_arg => undef);

sub python_constructor_arguments { return [qw(channels kernel_size strides padding dilation)] }

sub _alias { return 'conv' }
sub _axes { return $_[0]->class =~ /(\d)D/ ? $1 : undef }
sub _layout { return (undef, 'NCW', 'NCHW', 'NCDHW')[$_[0]->_axes] }
sub _transposed { return 0 }

# A number for each axis.
sub _per_axis
{
    my ($self, $name) = @_;
    my ($value, $axes) = ($self->$name, $self->_axes);
    $value = [($value) x $axes] if not ref $value;
    AI::MXNet::Keshi::fail("$name must be a number or an array ref of $axes ints") if @$value != $axes;
    return $self->$name($value);
}

sub BUILD
{
    my $self = shift;
    my ($kernel, $strides, $padding, $dilation, $adj) =
        map { $self->_per_axis($_) } qw(kernel_size strides padding dilation output_padding);
    my ($channels, $in, $groups) = map { $self->$_ } qw(channels in_channels groups);
    $self->_kwargs(
        [
            kernel => $kernel,
            stride => $strides,
            dilate => $dilation,
            pad => $padding,
            num_filter => $channels,
            num_group => $groups,
            no_bias => $self->use_bias ? 0 : 1,
            layout => $self->layout,
            $self->_transposed ? (adj => $adj) : ()
        ]
    );

    # What may not be divided by the groups is refused when the operator is called.
    my @sizes = $self->_transposed ? ($in, int($channels / $groups)) : ($channels, int($in / $groups));
    my @shape = $self->layout =~ /C$/ ? ($sizes[0], @$kernel, $sizes[1]) : (@sizes, @$kernel);
    my %common = (allow_deferred_init => 1);
    $self->name_scope(
        sub {
            $self->weight($self->params->get('weight', shape => \@shape, init => $self->weight_initializer, %common));
            $self->bias($self->params->get('bias', shape => [$channels], init => $self->bias_initializer, %common))
                if $self->use_bias;
            $self->act(AI::MXNet::Gluon::NN->Activation($self->activation, prefix => $self->activation . '_'))
                if defined $self->activation;
        }
    );
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x, undef, $weight, undef, $bias) = @_;
    my $operator = $self->_transposed ? 'Deconvolution' : 'Convolution';
    my $y = $F->$operator($x, $weight, $bias // (), @{ $self->{_kwargs} }, name => 'fwd');
    return $self->{act} ? $self->{act}->call($y) : $y;
}

sub _text
{
    my $self = shift;
    my %kwargs = @{ $self->_kwargs };
    my $axes = sub { '(' . join(',', @{ $_[0] }) . ')' };
    my @parts = (
        ($self->in_channels ? $self->in_channels . ' -> ' : '') . $self->channels,
        'kernel_size=' . $axes->($kwargs{kernel}),
        'stride=' . $axes->($kwargs{stride}),
    );
    push @parts, 'padding=' . $axes->($kwargs{pad}) if grep { $_ != 0 } @{ $kwargs{pad} };
    push @parts, 'dilation=' . $axes->($kwargs{dilate}) if grep { $_ != 1 } @{ $kwargs{dilate} };
    push @parts, "groups=$kwargs{num_group}" if $kwargs{num_group} != 1;
    push @parts, 'bias=False' if not $self->use_bias;
    return $self->class . '(' . join(', ', @parts) . ')';
}

package AI::MXNet::Gluon::NN::ConvTranspose;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::NN::Conv';
sub _transposed { return 1 }

package AI::MXNet::Gluon::NN::ConvLayers;       ## no critic (ProhibitMultiplePackages)

# The classes differ in their names alone.
for my $axes (1 .. 3) {
    for my $kind ('', 'Transpose') {
        my $class = "AI::MXNet::Gluon::NN::Conv${axes}D$kind";
        Mouse::Meta::Class->create($class, superclasses => ["AI::MXNet::Gluon::NN::Conv$kind"]);
        $class->register('AI::MXNet::Gluon::NN');
    }
}

1;
