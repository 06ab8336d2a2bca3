package AI::MXNet::Gluon::NN::BasicLayers;
use 5.014;
use strict;
use warnings;

# Layers without windows: dense, dropout, embedding, flatten, and functions as layers.

package AI::MXNet::Gluon::NN::Dense;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has units => (is => 'ro', isa => 'DimSize', required => 1);
has activation => (is => 'ro', isa => 'Maybe[Str]');
has [qw(use_bias flatten)] => (is => 'ro', isa => 'Bool', default => 1);
has weight_initializer => (is => 'ro', isa => 'Maybe[Initializer]');
has bias_initializer => (is => 'ro', isa => 'Maybe[Initializer]', default => 'zeros');
has in_units => (is => 'ro', isa => 'DimSize', default => 0);
has [qw(weight bias act)] => (is => 'rw', init_arg => undef);

sub python_constructor_arguments { return ['units'] }

sub BUILD
{
    my $self = shift;
    $self->name_scope(
        sub {
            my $params = $self->params;
            $self->weight(
                $params->get(
                    'weight',
                    shape => [$self->units, $self->in_units],
                    init => $self->weight_initializer,
                    allow_deferred_init => 1
                )
            );
            $self->bias(
                $params->get(
                    'bias',
                    shape => [$self->units],
                    init => $self->bias_initializer,
                    allow_deferred_init => 1
                )
            ) if $self->use_bias;
            $self->act(AI::MXNet::Gluon::NN->Activation($self->activation, prefix => $self->activation . '_'))
                if defined $self->activation;
        }
    );
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x, undef, $weight, undef, $bias) = @_;
    my $y = $F->FullyConnected(
        $x, $weight,
        $bias // (),
        num_hidden => $self->{units},
        no_bias => defined $bias ? 0 : 1,
        flatten => $self->{flatten} ? 1 : 0,
        name => 'fwd'
    );
    return $self->{act} ? $self->{act}->call($y) : $y;
}

sub _text
{
    my $self = shift;
    return sprintf 'Dense(%s -> %s, %s)', @{ $self->weight->shape }, $self->{act} // 'linear';
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::Dropout;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has rate => (is => 'ro', isa => 'Dropout', required => 1);
has axes => (is => 'ro', isa => 'Shape', default => sub { [] });

sub python_constructor_arguments { return ['rate'] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->Dropout(
        $x,
        p => $self->{rate},
        @{ $self->{axes} } ? (axes => $self->{axes}) : (),
        name => 'fwd'
    );
}

sub _text { return "Dropout(p = $_[0]{rate})" }

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::Embedding;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has [qw(input_dim output_dim)] => (is => 'ro', isa => 'DimSize', required => 1);
has dtype => (is => 'ro', isa => 'Dtype', default => 'float32');
has weight_initializer => (is => 'ro', isa => 'Maybe[Initializer]');
has weight_initalizer => (is => 'ro', isa => 'Maybe[Initializer]');    # as AI::MXNet spells it
has sparse_grad => (is => 'ro', isa => 'Bool', default => 0);
has weight => (is => 'rw', init_arg => undef);

sub python_constructor_arguments { return [qw(input_dim output_dim)] }

sub BUILD
{
    my $self = shift;
    $self->weight(
        $self->params->get(
            'weight',
            shape => [$self->input_dim, $self->output_dim],
            dtype => $self->dtype,
            init => $self->weight_initializer // $self->weight_initalizer,
            allow_deferred_init => 1,
            grad_stype => $self->sparse_grad ? 'row_sparse' : 'default'
        )
    );
    return;
}

sub hybrid_forward
{
    my ($self, $F, $x, undef, $weight) = @_;
    return $F->Embedding(
        $x, $weight,
        input_dim => $self->{input_dim},
        output_dim => $self->{output_dim},
        dtype => $self->{dtype},
        sparse_grad => $self->{sparse_grad} ? 1 : 0,
        name => 'fwd'
    );
}

sub _text { return "Embedding($_[0]{input_dim} -> $_[0]{output_dim}, $_[0]{dtype})" }

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::Flatten;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

sub python_constructor_arguments { return [] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $x->reshape([0, -1]);
}

sub _text { return 'Flatten' }

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::Lambda;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::Block';

has function => (is => 'ro', isa => 'Str|CodeRef', required => 1);

sub python_constructor_arguments { return ['function'] }

sub _check_function
{
    my $name = shift;
    AI::MXNet::Keshi::fail("Function name $name is not found in ndarray.")
        if not ref $name
        and not AI::MXNet::NDArray->can($name);
    return;
}

sub BUILD
{
    my $self = shift;
    _check_function($self->function);
    return;
}

sub forward
{
    my ($self, @in) = @_;
    my $function = $self->{function};
    return ref $function ? $function->(@in) : AI::MXNet::NDArray->$function(@in);
}

sub _text { return $_[0]->class . '(' . (ref $_[0]{function} ? 'custom_sub' : $_[0]{function}) . ')' }

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::HybridLambda;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has function => (is => 'ro', isa => 'Str|CodeRef', required => 1);

sub python_constructor_arguments { return ['function'] }

sub BUILD
{
    my $self = shift;
    AI::MXNet::Gluon::NN::Lambda::_check_function($self->function);
    return;
}

sub hybrid_forward
{
    my ($self, $F, @in) = @_;
    my $function = $self->{function};
    return ref $function ? $function->($F, @in) : $F->$function(@in);
}

*_text = \&AI::MXNet::Gluon::NN::Lambda::_text;

__PACKAGE__->register('AI::MXNet::Gluon::NN');

1;
