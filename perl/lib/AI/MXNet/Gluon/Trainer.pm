package AI::MXNet::Gluon::Trainer;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Gluon::Parameter;
use AI::MXNet::KVStore;
use AI::MXNet::Logging;
use AI::MXNet::Optimizer;
use AI::MXNet::Updater;
use Scalar::Util qw(looks_like_number);
use Mouse;
use Scalar::Util qw(blessed);

extends 'AI::MXNet::Gluon::Arguments';

# Updates parameters along their gradients: by updaters of its own on one context, through a store on several.

has _given => (is => 'bare', init_arg => 'params', required => 1);
has _optimizer => (is => 'rw', init_arg => 'optimizer', isa => 'Optimizer', required => 1);
has _optimizer_params => (is => 'bare', init_arg => 'optimizer_params', isa => 'Maybe[HashRef]');
has _store => (is => 'bare', init_arg => 'kvstore', isa => 'KVStore', default => 'device');
has _compression_params => (is => 'ro', init_arg => 'compression_params', isa => 'Maybe[HashRef]');
has _wants_update_on_kvstore => (is => 'ro', init_arg => 'update_on_kvstore', isa => 'Maybe[Bool]');
has [
    qw(kvstore update_on_kvstore _params _param2idx _contexts _updaters _params_to_init _kv_initialized _scale
        _contains_sparse _usual_params)
] => (is => 'rw', init_arg => undef);

sub python_constructor_arguments
{
    return [qw(params optimizer optimizer_params kvstore compression_params update_on_kvstore)];
}

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub BUILD
{
    my $self = shift;
    my $given = delete $self->{_given};
    my @params =
          blessed($given) && $given->isa('AI::MXNet::Gluon::ParameterDict') ? $given->values
        : ref $given eq 'HASH' ? map { $given->{$_} } sort keys %$given
        : ref $given eq 'ARRAY' ? @$given
        : _fail('First argument must be a array or hash of Parameters, got ' . ($given // 'undef') . '.');
    for my $param (@params) {
        _fail('First argument must be a array or hash of Parameters, got list of [' . ($param // 'undef') . '].')
            if not blessed($param)
            or not $param->isa('AI::MXNet::Gluon::Parameter');
    }
    $self->{_params} = \@params;
    $self->{_usual_params} = !grep { ref !~ /^AI::MXNet::Gluon::(?:Parameter|Constant)$/ } @params;
    $self->{_param2idx} = { map { ($params[$_]->name => $_) } 0 .. $#params };
    $self->{_contains_sparse} = grep { $_->stype ne 'default' or $_->grad_stype ne 'default' } @params;
    $_->_set_trainer($self) for @params;
    $self->_check_contexts;
    $self->_init_optimizer(delete $self->{_optimizer_params} // {});
    $self->_reset_kvstore;
    return;
}

sub _check_contexts
{
    my $self = shift;
    my $contexts;
    for my $param (@{ $self->{_params} }) {
        my $these = $param->list_ctx;
        _fail(    'All Parameters must be initialized on the same set of contexts, but Parameter '
                . $param->name
                . " is initialized on @$these while previous Parameters are initialized on @$contexts.")
            if $contexts
            and "@$contexts" ne "@$these";
        $contexts = $these;
    }
    $self->{_contexts} = $contexts // [];
    return;
}

sub _init_optimizer
{
    my ($self, $params) = @_;
    $self->{_scale} = $params->{rescale_grad} // 1;
    if (ref $self->{_optimizer}) {
        _fail('optimizer_params must be empty if optimizer is an instance of Optimizer instead of str') if %$params;
    } else {
        $self->{_optimizer} = AI::MXNet::Optimizer->create($self->{_optimizer}, %$params);
    }
    $self->{_updaters} = [map { AI::MXNet::Optimizer->get_updater($self->{_optimizer}) } @{ $self->{_contexts} }];
    $self->_tell_params;
    return;
}

# The optimizer asks the parameters for their multipliers.
sub _tell_params
{
    my $self = shift;
    my $params = $self->{_params};
    $self->{_optimizer}->param_dict({ map { ($_ => $params->[$_]) } 0 .. $#$params });
    return;
}

# -- the store

sub _reset_kvstore
{
    my $self = shift;
    $self->{_kv_initialized} = 0;
    $self->{kvstore} = $self->{update_on_kvstore} = undef;
    $self->{_params_to_init} = [@{ $self->{_params} }];
    return;
}

sub _init_kvstore
{
    my $self = shift;
    my $wanted = $self->{_wants_update_on_kvstore};
    my ($store, $update) = ($self->{_store}, 1);
    if ($self->{_contains_sparse}) {
        _fail('Cannot set update_on_kvstore to False when sparse gradients and/or sparse weights are present.')
            if defined $wanted
            and not $wanted;
        $store //= 'device';
    } elsif (not ref $store) {
        $store = undef if @{ $self->{_contexts} } == 1;
        $update = 0
            if defined $store
            and $store eq 'local'
            and grep { $_->data($self->{_contexts}[0])->size > 16 * 1024**2 } @{ $self->{_params} };
    }
    if (defined $store) {
        $store = AI::MXNet::KVStore->create($store) if not ref $store;
        $update = $wanted if defined $wanted;
        $store->set_gradient_compression($self->{_compression_params}) if $self->{_compression_params};
        $store->set_optimizer($self->{_optimizer}) if $update;
        @$self{qw(kvstore update_on_kvstore)} = ($store, $update ? 1 : 0);
    }
    $self->{_kv_initialized} = 1;
    return;
}

# Parameters whose shape was not known yet come later.
sub _init_params
{
    my $self = shift;
    my @later;
    for my $param ($self->{kvstore} ? @{ $self->{_params_to_init} } : ()) {
        if ($param->_deferred_init) {
            push @later, $param;
            next;
        }
        my $index = $self->{_param2idx}{ $param->name };
        $self->{kvstore}->init($index, $param->_data->[0]);
        $self->{kvstore}->pull($index, out => $param->_data, priority => -$index) if $param->stype eq 'default';
    }
    $self->{_params_to_init} = \@later;
    return;
}

sub _prepare
{
    my $self = shift;
    $self->_init_kvstore if not $self->{_kv_initialized};
    $self->_init_params if @{ $self->{_params_to_init} };
    return;
}

sub _row_sparse_pull
{
    my ($self, $param, $out, $row_id, $all) = @_;
    $self->_prepare;
    my $index = $self->{_param2idx}{ $param->name };
    my @to = (out => $out, priority => -$index);
    AI::MXNet::AutoGrad->pause(
        sub {
            if ($all) { $self->{kvstore}->pull($index, @to, ignore_sparse => 0) }
            else { $self->{kvstore}->row_sparse_pull($index, @to, row_ids => $row_id) }
        }
    );
    return;
}

# -- training

sub _refuse_on_kvstore
{
    my ($self, $method) = @_;
    $self->_prepare;
    _fail(    "$method() when parameters are updated on kvstore is not supported. "
            . 'Try setting update_on_kvstore to 0 when creating trainer.')
        if $self->{kvstore}
        and $self->{update_on_kvstore};
    return;
}

# Gradients are sums over a batch, steps go by their mean.
sub _rescale
{
    my ($self, $method, $batch_size) = @_;
    _fail("$method: got " . ($batch_size // 'nothing') . ', want the size of the batch, such as $data->shape->[0]')
        if not looks_like_number($batch_size // '')
        or $batch_size <= 0;
    $self->{_optimizer}->rescale_grad($self->{_scale} / $batch_size);
    return;
}

sub step
{
    my ($self, $batch_size, $ignore_stale_grad) = @_;
    $self->_rescale(step => $batch_size);
    $self->_prepare;
    $self->_allreduce_grads if $self->{kvstore};
    return $self->_update($ignore_stale_grad);
}

sub allreduce_grads
{
    my $self = shift;
    $self->_refuse_on_kvstore('allreduce_grads');
    $self->_allreduce_grads if $self->{kvstore};
    return;
}

sub _allreduce_grads
{
    my $self = shift;
    my $params = $self->{_params};
    for my $i (grep { $params->[$_]->grad_req ne 'null' } 0 .. $#$params) {
        my $grads = $params->[$i]->list_grad;
        $self->{kvstore}->push($i, $grads, priority => -$i);
        $self->{kvstore}->pull($i, out => $grads, priority => -$i, ignore_sparse => 0)
            if not $self->{update_on_kvstore};
    }
    return;
}

sub update
{
    my ($self, $batch_size, $ignore_stale_grad) = @_;
    $self->_refuse_on_kvstore('update');
    $self->_rescale(update => $batch_size);
    return $self->_update($ignore_stale_grad);
}

# All parameters of a context in one call, so that the optimizer may take them together.
sub _update
{
    my ($self, $ignore_stale_grad) = @_;
    my $in_store = $self->{kvstore} && $self->{update_on_kvstore};
    my @due =
        $in_store || !$self->{_usual_params} ? () : AI::MXNet::Keshi::due($self->{_params}, $ignore_stale_grad ? 1 : 0);
    my @work = @due ? \@due : $self->_work($in_store, $ignore_stale_grad);
    for my $place (grep { $work[$_] and @{ $work[$_][0] } } 0 .. $#work) {
        $self->{_updaters}[$place]->call(@{ $work[$place] });
        AI::MXNet::Keshi::used_grads($work[$place][2]);
    }
    return;
}

# What there is to update on each context, as lists of indices, gradients and weights; with the store's weights pulled there is nothing.
sub _work
{
    my ($self, $in_store, $ignore_stale_grad) = @_;
    my $params = $self->{_params};
    my @work;
    for my $i (0 .. $#$params) {
        my $param = $params->[$i];
        next if $param->grad_req eq 'null';
        my $data = $param->{_data} // $param->list_data;
        $ignore_stale_grad or $_->_fresh_grad or _warn_stale($param, $_) for @$data;
        if ($in_store) {
            $self->{kvstore}->pull($i, out => $data, priority => -$i) if $param->stype eq 'default';
            next;
        }
        my $grads = $param->{_grad};
        for my $place (0 .. $#$data) {
            next if $ignore_stale_grad and not $data->[$place]->_fresh_grad;
            push @{ $work[$place][0] }, $i;
            push @{ $work[$place][1] }, $grads->[$place];
            push @{ $work[$place][2] }, $data->[$place];
        }
    }
    return @work;
}

sub _warn_stale
{
    my ($param, $data) = @_;
    AI::MXNet::Logging->warning(
"Gradient of Parameter '%s' on context %s has not been updated by backward since last `step`. This could mean a bug "
            . 'in your model that made it only use a subset of the Parameters (Blocks) for this iteration. If you are '
            . 'intentionally only using a subset, call step with ignore_stale_grad=1 to suppress this warning and skip '
            . 'updating of Parameters with stale gradient',
        $param->name, $data->context
    );
    return;
}

# -- the rate

sub learning_rate
{
    my ($self, $rate) = @_;
    my $optimizer = $self->{_optimizer};
    $optimizer->set_learning_rate($rate) if defined $rate;
    my $scheduler = $optimizer->lr_scheduler;
    return defined $scheduler ? $scheduler->($optimizer->num_update) : $optimizer->lr;
}

sub set_learning_rate
{
    my ($self, $rate) = @_;
    $self->{_optimizer}->set_learning_rate($rate);
    return;
}

# -- files

sub save_states
{
    my ($self, $file) = @_;
    $self->_prepare;
    if ($self->{kvstore} and $self->{update_on_kvstore}) {
        $self->{kvstore}->save_optimizer_states($file, dump_optimizer => 1);
        return;
    }
    open my $out, '>:raw', $file or _fail("save_states: cannot write $file: $!");
    print {$out} $self->{_updaters}[0]->get_states(dump_optimizer => 1);
    close $out or _fail("save_states: cannot write $file: $!");
    return;
}

sub load_states
{
    my ($self, $file) = @_;
    $self->_prepare;
    if ($self->{kvstore} and $self->{update_on_kvstore}) {
        $self->{kvstore}->load_optimizer_states($file);
        $self->{_optimizer} = $self->{kvstore}->_updater->optimizer;
    } else {
        open my $in, '<:raw', $file or _fail("load_states: cannot read $file: $!");
        my $bytes = do { local $/ = undef; <$in> };
        for my $updater (@{ $self->{_updaters} }) {
            $updater->set_states($bytes);
            $updater->optimizer($self->{_updaters}[0]->optimizer);
        }
        $self->{_optimizer} = $self->{_updaters}[0]->optimizer;
    }
    $self->_tell_params;
    return;
}

__PACKAGE__->register('AI::MXNet::Gluon');
no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Trainer - updates parameters along their gradients

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $net = nn->Dense(1, in_units => 2);
    $net->initialize;
    my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.1, momentum => 0.9 });
    my $x = nd->array([[1, 2], [3, 4]]);
    for (1 .. 3) {
        my $loss;
        autograd->record(sub { $loss = ($net->($x) - 1)**2 });
        $loss->backward;
        $trainer->step(2);
        print $loss->mean->asscalar, "\n";
    }

=head1 DESCRIPTION

=over 4

=item new($params, $optimizer, \%optimizer_params, kvstore => 'device', update_on_kvstore =>, compression_params =>)

Parameters, in a L<dictionary|AI::MXNet::Gluon::ParameterDict>, a hash or a list, all on the same contexts; the name of an
L<optimizer|AI::MXNet::Optimizer>, or one. On one context parameters are updated where they are; on several, gradients are
added up in a L<store|AI::MXNet::KVStore>, which updates too unless C<update_on_kvstore> is 0.

=item step($batch_size, $ignore_stale_grad = 0)

Divides gradients by the batch size and updates. A parameter whose gradient is older than the last step gives a warning, or
is left as it is.

=item allreduce_grads, update($batch_size, $ignore_stale_grad = 0)

The two halves of C<step>, with room for a change of the gradients between them.

=item learning_rate($rate), set_learning_rate($rate), save_states($file), load_states($file)

C<learning_rate(undef)> reads it. Saved states include the optimizer.

=back

=cut
