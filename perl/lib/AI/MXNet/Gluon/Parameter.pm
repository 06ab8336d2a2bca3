package AI::MXNet::Gluon::Parameter;
use 5.014;
use strict;
use warnings;
use AI::MXNet;
use AI::MXNet::Keshi;
use AI::MXNet::Base qw(product);
use AI::MXNet::Logging;
use AI::MXNet::Function::Parameters;
use Mouse;
use Scalar::Util qw(blessed refaddr weaken);

extends 'AI::MXNet::Gluon::Arguments';

# An array that is trained: one copy for each context, with its gradient. While its shape is not known it is deferred, which
# means that how to initialize it is kept until the shape is.

use overload
    '""' => \&text,
    'bool' => sub { 1 },
    fallback => 1;

has name => (is => 'ro', isa => 'Str', required => 1);
has grad_req => (is => 'bare', isa => 'GradReq', default => 'write');
has shape => (is => 'bare', isa => 'Maybe[Shape|DimSize]');
has dtype => (is => 'bare', isa => 'Dtype', default => 'float32');
has [qw(lr_mult wd_mult)] => (is => 'rw', isa => 'Num', default => 1);
has init => (is => 'rw', isa => 'Maybe[Initializer]');
has allow_deferred_init => (is => 'rw', isa => 'Bool', default => 0);
has differentiable => (is => 'rw', isa => 'Bool', default => 1);
has [qw(stype grad_stype)] => (is => 'ro', isa => 'Stype', default => 'default');

# Copies and gradients in the order of the contexts; the place of each context, by its text; what initialization waits for.
has [qw(_data _grad _ctx_list _place _deferred_init _trainer _var)] => (is => 'rw', init_arg => undef);

sub python_constructor_arguments { return ['name'] }

sub BUILD
{
    my $self = shift;
    $self->{shape} = [$self->{shape}] if defined $self->{shape} and not ref $self->{shape};
    $self->{grad_req} = 'null' if not $self->{differentiable};
    return;
}

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub text
{
    my $self = shift;
    my ($class) = ref($self) =~ /(\w+)$/;
    return sprintf '%s %s (shape=(%s), dtype=%s, stype=%s)', $class, $self->name, join(', ', @{ $self->shape // [] }),
        $self->dtype, $self->stype;
}

sub _contexts
{
    my $ctx = shift // AI::MXNet::Context->current_ctx;
    return ref $ctx eq 'ARRAY' ? [@$ctx] : [$ctx];
}

# -- properties

sub grad_req
{
    my ($self, $req) = @_;
    return $self->{grad_req} if @_ < 2;
    my $type = AI::MXNet::Function::Parameters::type('GradReq');
    _fail("grad_req of Parameter $self->{name}: " . $type->get_message($req)) if not $type->check($req);
    $req = 'null' if not $self->{differentiable};
    return $req if $req eq $self->{grad_req};
    $self->{grad_req} = $req;
    if ($req eq 'null') {
        $self->{_data} = [map { $_->detach } @{ $self->{_data} }] if $self->{_grad};
        $self->{_grad} = undef;
    } elsif ($self->{_data}) {
        $self->_init_grad;
    }
    return $req;
}

sub shape
{
    my ($self, $new) = @_;
    return $self->{shape} if @_ < 2;
    my $old = $self->{shape};
    _fail("Parameter '$self->{name}': Expected shape is incompatible with given shape, got (@{[join ', ', @$new]}), "
            . "want (@{[join ', ', @$old]})")
        if $old
        and (@$old != @$new or grep { $old->[$_] != 0 and $old->[$_] != $new->[$_] } 0 .. $#$old);
    return $self->{shape} = [@$new];
}

sub dtype
{
    my ($self, $dtype) = @_;
    $self->cast($dtype) if @_ > 1 and $dtype ne $self->{dtype};
    return $self->{dtype};
}

# -- initialization

method initialize(
    Maybe [Initializer] : $init =,
    Maybe [AI::MXNet::Context | ArrayRef [AI::MXNet::Context]] : $ctx =,
    Initializer : $default_init = AI::MXNet::Initializer->Uniform,
    Bool : $force_reinit = 0
    )
{
    if ($self->{_data} and not $force_reinit) {
        AI::MXNet::Logging->warning(
            "Parameter '%s' is already initialized, ignoring. Set force_reinit=>1 to re-initialize.",
            $self->{name});
        return;
    }
    $self->{_data} = $self->{_grad} = undef;
    $init //= $self->{init} // $default_init;
    my $deferred = { init => $init, ctx => _contexts($ctx), default_init => $default_init };
    if (not $self->{shape} or product(@{ $self->{shape} }) <= 0) {
        _fail("Cannot initialize Parameter '$self->{name}' because it has invalid shape: @{ $self->{shape} // [] }.")
            if not $self->{allow_deferred_init};
        $self->{_deferred_init} = $deferred;
        return;
    }
    $self->{_deferred_init} = $deferred;
    $self->_finish_deferred_init;
    return;
}

sub _finish_deferred_init
{
    my $self = shift;
    my $deferred = $self->{_deferred_init} or return;
    _fail(    "Cannot initialize Parameter '$self->{name}' because it has invalid shape: @{ $self->{shape} // [] }. "
            . 'Please specify in_units, in_channels, etc for Blocks.')
        if not $self->{shape}
        or product(@{ $self->{shape} }) <= 0;
    $self->{_deferred_init} = undef;
    my $data = $deferred->{data} // $self->_first_values($deferred);
    $self->_init_impl($data, _contexts($deferred->{ctx}));
    return;
}

# What the initializer makes of the parameter.
sub _first_values
{
    my ($self, $deferred) = @_;
    my $data = AI::MXNet::NDArray->zeros(
        $self->{shape},
        dtype => $self->{dtype},
        ctx => AI::MXNet::Context->cpu,
        $self->{stype} eq 'default' ? () : (stype => $self->{stype})
    );
    my $init = $deferred->{init};
    my $desc = AI::MXNet::InitDesc->new(name => $self->{name}, attrs => { __init__ => "$init" });
    my $default = $deferred->{default_init};
    $default = AI::MXNet::Initializer->create($default) if not ref $default;
    AI::MXNet::AutoGrad->pause(
        sub {
            # An object is asked itself: its text need not hold all that it knows.
            if (ref $init and $init->can('_init_weight')) { $init->_init_weight($desc, $data) }
            else { $default->($desc, $data) }
        }
    );
    return $data;
}

# One copy for each context.
sub _init_impl
{
    my ($self, $data, $contexts) = @_;
    $self->{_ctx_list} = $contexts;
    my $i = 0;
    $self->{_place} = { map { ("$_" => $i++) } @$contexts };
    AI::MXNet::AutoGrad->pause(
        sub {
            $self->{_data} = [map { $data->copyto($_) } @$contexts];
        }
    );
    $self->_init_grad;
    return;
}

sub _init_grad
{
    my $self = shift;
    $self->{_grad} = undef;
    return if $self->{grad_req} eq 'null';
    my $stype = $self->{grad_stype};
    if ($stype eq 'default') {
        # Zeros that take no memory before they are written: most parameters of a network that is only run forward.
        $self->{_grad} = [map { $_->attach_grad(grad_req => $self->{grad_req}); $_->grad } @{ $self->{_data} }];
        return;
    }
    $self->{_grad} =
        [map { AI::MXNet::NDArray->zeros($_->shape, dtype => $_->dtype, ctx => $_->context, stype => $stype) }
            @{ $self->{_data} }];
    AI::MXNet::AutoGrad->mark_variables($self->{_data}, $self->{_grad}, grad_reqs => $self->{grad_req});
    return;
}

# Takes values that were saved.
sub _load_init
{
    my ($self, $data, $ctx) = @_;
    my $incompatible = sub {
        _fail(
"Failed loading Parameter '$self->{name}' from saved params: $_[0] incompatible expected $_[1] vs saved $_[2]"
        );
    };
    if (my $shape = $self->{shape}) {
        my $saved = $data->shape;
        $incompatible->('shape', map { '(' . join(', ', @$_) . ')' } $shape, $saved)
            if @$shape != @$saved
            or grep { $shape->[$_] != 0 and $shape->[$_] != $saved->[$_] } 0 .. $#$shape;
        $self->{shape} = [@$saved];
    }
    $incompatible->('dtype', $self->{dtype}, $data->dtype) if $self->{dtype} ne $data->dtype;
    $data = $data->tostype($self->{stype}) if $self->{stype} ne $data->stype;
    my $known = $self->{_data} ? $self->{_ctx_list} : $self->{_deferred_init} ? $self->{_deferred_init}{ctx} : undef;
    if ($ctx and $known) {
        my ($wanted, $had) = map {
            join ' ',
                sort map { "$_" }
                @$_
        } _contexts($ctx), $known;
        _fail("Failed to load Parameter '$self->{name}' on $wanted because it was previous initialized on $had.")
            if $wanted ne $had;
    }
    if ($self->{_data}) { $self->set_data($data) }
    else { $self->_init_impl($data, $known // _contexts($ctx // AI::MXNet::Context->cpu)) }
    $self->{_deferred_init} = undef;
    return;
}

method reset_ctx(Maybe [AI::MXNet::Context | ArrayRef [AI::MXNet::Context]] : $ctx =) {
    $ctx = _contexts($ctx);
    if ($self->{_data}) {
        $self->_init_impl($self->_reduce, $ctx);
    } elsif ($self->{_deferred_init}) {
        $self->{_deferred_init}{ctx} = $ctx;
    } else {
        _fail("Cannot reset context for Parameter '$self->{name}' because it has not been initialized.");
    }
    return;
}

method cast(Dtype $dtype) {
    $self->{dtype} = $dtype;
    $self->{_var} = undef;
    return if not $self->{_data};
    AI::MXNet::AutoGrad->pause(
        sub {
            $self->{_data} = [map { $_->astype($dtype) } @{ $self->{_data} }];
        }
    );
    $self->_init_grad if $self->{_grad};
    return;
}

# -- values

# One of the copies or gradients, that of `$ctx`; or with 'list' all.
sub _check_and_get
{
    my ($self, $arrays, $ctx) = @_;
    $self->_not_initialized if not $arrays;
    if (not defined $ctx) {
        return $arrays->[0] if @$arrays == 1;
        $ctx = AI::MXNet::Context->current_ctx;
    } elsif (not ref $ctx and $ctx eq 'list') {
        return $arrays;
    }
    my $place = $self->{_place}{"$ctx"};
    return $arrays->[$place] if defined $place;
    return _fail("Parameter '$self->{name}' was not initialized on context $ctx. It was only initialized on "
            . "@{ $self->{_ctx_list} }.");
}

sub _not_initialized
{
    my $self = shift;
    _fail(    "DeferredInitializationError: Parameter '$self->{name}' has not been initialized yet because "
            . 'initialization was deferred. Actual initialization happens during the first forward pass. Please pass one '
            . 'batch of data through the network before accessing Parameters. You can also avoid deferred initialization '
            . 'by specifying in_units, num_features, etc., for network layers.')
        if $self->{_deferred_init};
    return _fail("Parameter '$self->{name}' has not been initialized. Note that you should initialize parameters and "
            . 'create Trainer with Block.collect_params() instead of Block.params because the later does not include '
            . 'Parameters of nested child Blocks');
}

sub _want_stype
{
    my ($self, $sparse, $text, $instead) = @_;
    return if $sparse ? $self->{stype} eq 'row_sparse' : $self->{stype} eq 'default';
    return _fail("$text because its storage type is $self->{stype}. Please use $instead() instead.");
}

sub data
{
    my ($self, $ctx) = @_;
    $self->_want_stype(0, "Cannot return a copy of Parameter $self->{name} on ctx @{[$ctx // 'undef']} via data()",
        'row_sparse_data')
        if $self->{stype} ne 'default';
    return $self->_check_and_get($self->{_data}, $ctx);
}

sub list_data
{
    my $self = shift;
    $self->_want_stype(0, "Cannot return copies of Parameter $self->{name} on all contexts via list_data()",
        'row_sparse_data');
    return $self->_check_and_get($self->{_data}, 'list');
}

sub row_sparse_data
{
    my ($self, $row_id) = @_;
    $self->_want_stype(1, "Cannot return a copy of Parameter $self->{name} via row_sparse_data()", 'data');
    return $self->_get_row_sparse($row_id, $row_id->context);
}

sub list_row_sparse_data
{
    my ($self, $row_id) = @_;
    $self->_want_stype(1,
        "Cannot return copies of Parameter $self->{name} on all contexts via list_row_sparse_data()", 'data');
    return $self->_get_row_sparse($row_id, 'list');
}

sub _get_row_sparse
{
    my ($self, $row_id, $ctx) = @_;
    _fail("row ids of Parameter '$self->{name}' got " . ($row_id // 'undef') . ', want an AI::MXNet::NDArray')
        if not blessed($row_id)
        or not $row_id->isa('AI::MXNet::NDArray');
    _fail("Cannot get row_sparse data for Parameter '$self->{name}' when no Trainer is created with it.")
        if not $self->{_trainer};
    my $results = $self->_check_and_get($self->{_data}, $ctx);
    $self->{_trainer}->_row_sparse_pull($self, $results, $row_id);
    return $results;
}

sub grad
{
    my ($self, $ctx) = @_;
    $self->_want_grad;
    return $self->_check_and_get($self->{_grad}, $ctx);
}

sub list_grad
{
    my $self = shift;
    $self->_want_grad;
    return $self->_check_and_get($self->{_grad}, 'list');
}

sub _want_grad
{
    my $self = shift;
    _fail("Cannot get gradient array for Parameter $self->{name} because grad_req='null'")
        if $self->{_data} and not $self->{_grad};
    return;
}

sub list_ctx
{
    my $self = shift;
    return $self->{_ctx_list} if $self->{_data};
    return $self->{_deferred_init}{ctx} if $self->{_deferred_init};
    return _fail("Parameter $self->{name} has not been initialized");
}

sub zero_grad
{
    my $self = shift;
    my $grads = $self->{_grad} or return;
    if ($self->{grad_stype} eq 'default') { $_->set(0) for @$grads }
    else { $self->_init_grad }
    return;
}

sub set_data
{
    my ($self, $data) = @_;
    $self->shape($data->shape);
    if (not $self->{_data}) {
        $self->{_deferred_init}{data} = $data;
        return;
    }

    # The copy that a store holds would no longer be the same.
    my $trainer = $self->{_trainer};
    $trainer->_reset_kvstore
        if $trainer
        and $trainer->_kv_initialized
        and $trainer->update_on_kvstore
        and not grep { refaddr($_) == refaddr($self) } @{ $trainer->_params_to_init };
    AI::MXNet::AutoGrad->pause(
        sub {
            for my $copy (@{ $self->{_data} }) {
                AI::MXNet::Keshi::renew($copy) if $copy->stype eq 'default';
                $copy->set($data);
            }
        }
    );
    return;
}

# The mean of all copies, on the CPU: what is saved.
sub _reduce
{
    my $self = shift;
    my $cpu = AI::MXNet::Context->cpu;
    if ($self->{stype} eq 'default') {
        my @copies = @{ $self->list_data };
        return $copies[0]->copyto($cpu) if @copies == 1;
        return AI::MXNet::NDArray->add_n(map { $_->copyto($cpu) } @copies) / @copies;
    }
    _fail("Cannot get row_sparse data for Parameter '$self->{name}' when no Trainer is created with it.")
        if not $self->{_trainer};
    my $rows = AI::MXNet::NDArray->arange(stop => $self->{shape}[0], dtype => 'int64', ctx => $cpu);
    my $data = AI::MXNet::NDArray->zeros($self->{shape}, stype => 'row_sparse', ctx => $cpu);
    $self->{_trainer}->_row_sparse_pull($self, $data, $rows, 1);
    return $data;
}

sub _set_trainer
{
    my ($self, $trainer) = @_;
    _fail(    "Failed to set the trainer for Parameter '$self->{name}' because it was already set. "
            . "More than one trainers for a $self->{stype} Parameter is not supported.")
        if $self->{stype} ne 'default'
        and $self->{_trainer}
        and $trainer
        and refaddr($trainer) != refaddr($self->{_trainer});
    weaken($self->{_trainer} = $trainer);
    return;
}

sub _init_of_var { return $_[0]{init} }

# The variable that stands for the parameter in graphs.
sub var
{
    my $self = shift;
    return $self->{_var} //= AI::MXNet::Symbol->var(
        $self->{name},
        shape => $self->{shape},
        dtype => $self->{dtype},
        lr_mult => $self->{lr_mult},
        wd_mult => $self->{wd_mult},
        init => scalar $self->_init_of_var,
        stype => $self->{stype},
    );
}

__PACKAGE__->register('AI::MXNet::Gluon');
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Parameter - an array that is trained

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $weight = gluon->Parameter('weight', shape => [2, 3]);
    $weight->initialize(init => mx->init->One());
    print "$weight\n", $weight->data->aspdl;
    autograd->record(sub { ($weight->data * 3)->backward });
    print $weight->grad->aspdl;

=head1 DESCRIPTION

A parameter has one copy of its values, and one gradient, on each context that it was initialized on. Sizes of its C<shape>
that are 0 are not known yet: with C<allow_deferred_init> it is initialized as soon as they are.

=over 4

=item new($name, shape =>, dtype => 'float32', grad_req => 'write', lr_mult => 1, wd_mult => 1, init =>, differentiable => 1, stype => 'default', grad_stype => 'default')

=item initialize(init =>, ctx =>, default_init => mx->init->Uniform, force_reinit => 0)

The initializer is C<init>, else the parameter's own, else C<default_init>.

=item data($ctx), list_data, grad($ctx), list_grad, list_ctx

Without a context, the only copy, or that of the current one.

=item set_data($array), zero_grad, cast($dtype), reset_ctx(ctx =>)

=item row_sparse_data($row_ids), list_row_sparse_data($row_ids)

Rows of a parameter whose C<stype> is C<row_sparse>, as its L<trainer|AI::MXNet::Gluon::Trainer> holds them.

=item var

The variable that stands for it in an L<AI::MXNet::Symbol>.

=back

C<name>, C<shape>, C<dtype>, C<grad_req>, C<lr_mult>, C<wd_mult>, C<init> and C<stype> read it; those that may change take a
value.

=cut
