package AI::MXNet::Gluon::NN::Activations;
use 5.014;
use strict;
use warnings;

# Functions of each element, as layers.

package AI::MXNet::Gluon::NN::Activation;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has activation => (is => 'ro', isa => 'Str', required => 1);

sub python_constructor_arguments { return ['activation'] }

sub _alias { return $_[0]{activation} }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->Activation($x, act_type => $self->{activation}, name => 'fwd');
}

sub _text { return "Activation($_[0]{activation})" }

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::LeakyReLU;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has alpha => (is => 'ro', isa => 'Num', required => 1);

sub python_constructor_arguments { return ['alpha'] }

sub BUILD
{
    my $self = shift;
    AI::MXNet::Keshi::fail('Slope coefficient for LeakyReLU must be no less than 0') if $self->alpha <= 0;
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->LeakyReLU($x, act_type => 'leaky', slope => $self->{alpha}, name => 'fwd');
}

sub _text { return "LeakyReLU($_[0]{alpha})" }

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::PReLU;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has alpha_initializer => (
    is => 'ro',
    isa => 'Initializer',
    default => sub { AI::MXNet::Initializer->Constant(0.25) }
);
has alpha => (is => 'rw', init_arg => undef);

sub python_constructor_arguments { return ['alpha_initializer'] }

sub BUILD
{
    my $self = shift;
    $self->name_scope(sub { $self->alpha($self->params->get('alpha', shape => [1], init => $self->alpha_initializer)) }
    );
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x, undef, $alpha) = @_;
    return $F->LeakyReLU($x, $alpha, act_type => 'prelu', name => 'fwd');
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::ELU;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has alpha => (is => 'ro', isa => 'Num', default => 1);

sub python_constructor_arguments { return ['alpha'] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->LeakyReLU($x, act_type => 'elu', slope => $self->{alpha}) if $F eq 'AI::MXNet::Symbol';

# Step by step exp(x) - 1 is as one writes it, so that results equal the formula to the last bit; what is not taken must
# not overflow.
    return $F->where($x > 0, $x, ($F->exp($F->_minimum_scalar($x, scalar => 0)) - 1) * $self->{alpha});
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::SELU;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

sub python_constructor_arguments { return [] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->LeakyReLU($x, act_type => 'selu', name => 'fwd');
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::Swish;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has beta => (is => 'ro', isa => 'Num', default => 1);

sub python_constructor_arguments { return ['beta'] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    my $gate = $F->sigmoid($self->{beta} == 1 ? $x : $x * $self->{beta}, name => 'fwd');
    return $F->elemwise_mul($x, $gate);
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

1;
